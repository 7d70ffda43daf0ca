"""The registry of optimizers: one file = one optimizer, functions of tensors. Imports core.

To add one, write a class that extends `Optimizer` in a file of its own, here or in a plugin module; sweep files then
know it as `[optimizer] name = "<class name in snake case>"`.
"""

from regtune.core.registry import Registry
from regtune.optimizers._base import Moments, Optimizer
from regtune.optimizers.adamw import AdamW
from regtune.optimizers.sgd import SGD

OPTIMIZERS: Registry[Optimizer] = Registry(package=__name__, base=Optimizer, noun="optimizer")  # type: ignore[type-abstract]  # a registry never instantiates its base

__all__ = ["OPTIMIZERS", "SGD", "AdamW", "Moments", "Optimizer"]
