"""regtune: which regularizer, at which strength, is worth it for my network on my data?

    from regtune import Trial, train, Sweep, run, load, table

Names are looked up when they are used: `load` and `table` need neither torch nor ray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from regtune.core.version import __version__

if TYPE_CHECKING:
    from regtune.analysis.comparison import comparison as table
    from regtune.api.compare import compare
    from regtune.api.results import load
    from regtune.core.knobs import knob
    from regtune.core.records import Trial
    from regtune.data import Dataset
    from regtune.execution.client import Client
    from regtune.execution.export import load_network
    from regtune.execution.run import run
    from regtune.networks import Network
    from regtune.optimizers import Optimizer
    from regtune.pruners import Pruner
    from regtune.regularizers import Regularizer
    from regtune.samplers import Sampler
    from regtune.sweep.sweep import Sweep
    from regtune.training.trainer import train

__all__ = [
    "Client",
    "Dataset",
    "Network",
    "Optimizer",
    "Pruner",
    "Regularizer",
    "Sampler",
    "Sweep",
    "Trial",
    "__version__",
    "compare",
    "knob",
    "load",
    "load_network",
    "run",
    "table",
    "train",
]

_HOMES = {
    "Client": ("regtune.execution.client", "Client"),
    "Dataset": ("regtune.data", "Dataset"),
    "Network": ("regtune.networks", "Network"),
    "Optimizer": ("regtune.optimizers", "Optimizer"),
    "Pruner": ("regtune.pruners", "Pruner"),
    "Regularizer": ("regtune.regularizers", "Regularizer"),
    "Sampler": ("regtune.samplers", "Sampler"),
    "Sweep": ("regtune.sweep.sweep", "Sweep"),
    "Trial": ("regtune.core.records", "Trial"),
    "compare": ("regtune.api.compare", "compare"),
    "knob": ("regtune.core.knobs", "knob"),
    "load": ("regtune.api.results", "load"),
    "load_network": ("regtune.execution.export", "load_network"),
    "run": ("regtune.execution.run", "run"),
    "table": ("regtune.analysis.comparison", "comparison"),
    "train": ("regtune.training.trainer", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'regtune' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
