"""A trial becomes epochs: the step, the lane, what is measured; knows no sweep, no log and no Ray.

Imports core, data, networks, optimizers and regularizers.
"""
