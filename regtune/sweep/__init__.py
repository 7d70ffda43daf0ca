"""The sweep file and what it means: its schema, arms, budgets and seeds.

Imports core, data, networks, optimizers, samplers, pruners, storage and regularizers.
"""
