"""The words that every room speaks: records, knobs, registries, random numbers, rules of choice.

Imports no other room.
"""
