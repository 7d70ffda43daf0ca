"""The registry of trackers: where `regtune run --log-to NAME` writes the trials of a sweep, beside its log.

One file is one tracker. Each takes a library, an extra of its name, which is imported when a tracker is opened.
"""

from regtune.core.registry import Registry
from regtune.trackers._base import INTERRUPTED, Run, Tracker

TRACKERS: Registry[Tracker] = Registry(package=__name__, base=Tracker, noun="tracker")  # type: ignore[type-abstract]  # a registry never instantiates its base

__all__ = ["INTERRUPTED", "TRACKERS", "Run", "Tracker"]
