"""Results become unrounded numbers: verdicts, families of comparisons, budget, pruning.

Imports core, pruners, storage, statistics and results; neither torch nor Ray.
"""
