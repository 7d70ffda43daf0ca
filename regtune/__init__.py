"""regtune: which regularizer, at which strength, is worth it for my network on my data?

    from regtune import Trial, train, Sweep, run, load, table

Names are looked up when they are used: `load` and `table` need neither torch nor ray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from regtune.version import __version__

if TYPE_CHECKING:
    from regtune.cluster.run import run
    from regtune.export import load_network
    from regtune.records import Trial
    from regtune.reports.comparison import comparison as table
    from regtune.store import load
    from regtune.sweep import Sweep
    from regtune.training import train

__all__ = ["Sweep", "Trial", "__version__", "load", "load_network", "run", "table", "train"]

_HOMES = {
    "Sweep": ("regtune.sweep", "Sweep"),
    "Trial": ("regtune.records", "Trial"),
    "load": ("regtune.store", "load"),
    "load_network": ("regtune.export", "load_network"),
    "run": ("regtune.cluster.run", "run"),
    "table": ("regtune.reports.comparison", "comparison"),
    "train": ("regtune.training", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'regtune' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
