"""Tests of meaning: every method against a truth that regtune's code has no part in.

Such a truth is a closed form, an enumeration, a published number or another library. Where a reference is
named by number (O-L2-1), it is that of our notes on the literature.
"""
