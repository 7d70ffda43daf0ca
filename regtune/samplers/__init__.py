"""The registry of samplers: where the knobs of the next search trial of an arm come from.

One file is one sampler. To add one, write a class that extends `Sampler` in a file of its own, here or in
a plugin module; sweep files then know it as `[search] sampler = "<class name in snake case>"`.
"""

from regtune.core.registry import Registry
from regtune.samplers._base import RULES, SAMPLING, Question, Sampler
from regtune.samplers._optuna import as_worst, frozen, is_bad

SAMPLERS: Registry[Sampler] = Registry(package=__name__, base=Sampler, noun="sampler")  # type: ignore[type-abstract]  # a registry never instantiates its base

__all__ = ["RULES", "SAMPLERS", "SAMPLING", "Question", "Sampler", "as_worst", "frozen", "is_bad"]
