"""Trials that are trained again on request: those that an exception ended, and those of arms whose plugin was mended.

The request is a row of the log. Nothing that the log says of these trials before it counts any more, but for what they
are: they are trained from their first epoch, with the same knobs and seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from regtune.core.records import Json, TrialKey
from regtune.core.sources import same_sources
from regtune.data import DATASETS
from regtune.execution.recovery import key_of
from regtune.networks import NETWORKS
from regtune.optimizers import OPTIMIZERS
from regtune.pruners import PRUNERS
from regtune.regularizers import REGULARIZERS
from regtune.samplers import SAMPLERS
from regtune.storage import lease
from regtune.storage.checkpoints import Checkpoints
from regtune.storage.log import Log
from regtune.sweep.arms import Arm
from regtune.sweep.sweep import Sweep

RETRY = "retry"  # the event


@dataclass(frozen=True, kw_only=True)
class Retry:
    """What is trained again: `keys`, and of each plugin that was `mended` the arms that use it."""

    keys: Sequence[TrialKey]
    mended: Mapping[str, Sequence[str]]

    def row(self) -> Json:
        """Return the fields of the row that asks for it."""
        mended = {name: list(arms) for name, arms in self.mended.items()}
        return {"cells": [list(key) for key in self.keys], "mended": mended}

    def words(self) -> list[str]:
        """Say what is trained again."""
        arms = {arm for mine in self.mended.values() for arm in mine}
        texts = [
            f"plugin {name} has changed: {', '.join(mine) or 'no arm'} retrained with the new code, other arms stay"
            for name, mine in self.mended.items()
        ]
        failed = sum(key.arm not in arms for key in self.keys)
        return [*texts, *([f"{failed} failed trials are retried"] if failed else [])]


def retry_of(rows: Sequence[Json], sweep: Sweep) -> Retry:
    """Return what a sweep would train again by the rows of its log."""
    before: dict[str, str] = next(
        (row["sweep"].get("plugins", {}) for row in reversed(rows) if row["event"] == "header"), {}
    )
    now: dict[str, str] = sweep.plain()["plugins"]
    changed = [name for name in now if name in before and not same_sources(before[name], now[name])]
    mended = {name: [arm.name for _, arm in sweep.with_copy if _uses(sweep, arm, name)] for name in changed}
    renewed = {arm for mine in mended.values() for arm in mine}
    status = _statuses(rows)
    keys = [key for key, how in status.items() if key.arm in renewed or how == "failed"]
    return Retry(keys=keys, mended=mended)


def failed_keys(rows: Sequence[Json], sweep: Sweep) -> list[TrialKey]:
    """Return the trials of a sweep's arms that an exception ended, by the rows of its log."""
    arms = {arm.name for _, arm in sweep.with_copy}
    return [key for key, how in _statuses(rows).items() if how == "failed" and key.arm in arms]


def _statuses(rows: Sequence[Json]) -> dict[TrialKey, str]:
    """Return how each trial that was asked for has ended, "" for one that has not."""
    found: dict[TrialKey, str] = {}
    for row in rows:
        if row["event"] == RETRY:
            found |= {TrialKey(*key): "" for key in row["cells"]}
        key = key_of(row)
        if key is not None and row["event"] in ("asked", "ended"):
            found[key] = row["outcome"]["status"] if row["event"] == "ended" else ""
    return found


def _uses(sweep: Sweep, arm: Arm, plugin: str) -> bool:
    """Return whether anything of an arm is from a plugin, from its methods to what draws its knobs."""
    template = arm.template
    things: list[type] = [REGULARIZERS.find(row["name"], arm.name, template.plugins) for row in template.recipe]
    things.append(DATASETS.find(template.data["name"], "data.name", template.plugins))
    things.append(NETWORKS.find(template.network["name"], "network.name", template.plugins))
    things.append(OPTIMIZERS.find(template.optimizer["name"], "optimizer.name", template.plugins))
    things.append(SAMPLERS.find(sweep.search.sampler, "search.sampler", template.plugins))
    things.append(PRUNERS.find(sweep.search.pruner, "search.pruner", template.plugins))
    return any(f"{thing.__module__}.".startswith(f"{plugin}.") for thing in things)


def ask_again(log: Log, again: Retry, say: Callable[[str], None]) -> None:
    """Write that trials are to be trained again."""
    with lease.held(log, waiting=say):
        log.append(RETRY, again.row())
        for key in again.keys:  # of an arm that is trained again these are of the old code, under the same id
            for kept in ("checkpoints", "weights"):
                Checkpoints(log.path.parent / kept).drop(key)
    log.reread()
