"""Which trial comes next and which one ends early: pure, replayable, without Ray but for its own ASHA.

Imports core, results, samplers, statistics and sweep.
"""
