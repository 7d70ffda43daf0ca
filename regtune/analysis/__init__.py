"""Results become unrounded numbers: verdicts, families of comparisons, budget, pruning. Imports core to results."""
