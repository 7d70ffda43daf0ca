"""Who watches a sweep: called with every event in order, new or replayed from the log (then it has a time).

What is replayed may be millions of epochs, which the log has in bundles. A watch that takes those as they are is a
`Watching`; any other function sees an epoch at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regtune.core.records import Json
from regtune.storage.bundles import EPOCH, Bundle

Watch = Callable[[str, Json], None]
Many = Callable[[Bundle], None]


@dataclass(frozen=True, kw_only=True)
class Watching:
    """A watch that takes `many` replayed epochs at once."""

    one: Watch
    many: Many

    def __call__(self, event: str, row: Json) -> None:
        """Take one event."""
        self.one(event, row)


def many_of(watch: Watch) -> Many:
    """Return what takes many replayed epochs at once, for a watch of either kind."""
    if isinstance(watch, Watching):
        return watch.many

    def one_by_one(bundle: Bundle) -> None:
        for row in bundle.rows():
            watch(EPOCH, row)

    return one_by_one
