"""A sweep resumes by the rules of its log: those of its samplers, what its race is over, and its plugins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from regtune.core.plugins import spec_of
from regtune.core.records import Json
from regtune.sweep.sweep import Sweep


def as_resumed(sweep: Sweep, rows: Sequence[Json]) -> Sweep:
    """Return the sweep for which a log with these rows resumes: by its rules of samplers, see `Sweep.as_in`.

    A race that was begun over configurations stays one unless its file names the scope: what it has decided was by
    that, so a race that is over adds nothing. Races of earlier versions were all over configurations.
    """
    sweep = sweep.as_in(rows)
    newest = next((row["sweep"] for row in reversed(rows) if row["event"] == "header"), None)
    if newest is None:
        return sweep
    sweep = _with_plugins(sweep, next(iter(newest["arms"].values()))["template"]["plugins"])
    if sweep.confirm.scope or not (sweep.confirm.racing and newest["confirm"].get("racing")):
        return sweep
    if newest["confirm"].get("scope") == "searches":
        return sweep
    return sweep.model_copy(update={"confirm": sweep.confirm.model_copy(update={"scope": "configuration"})})


def _with_plugins(sweep: Sweep, before: Sequence[str]) -> Sweep:
    """Return a sweep whose file names fewer plugins than `before` with all of them, if they are still there.

    Every trial names them all, so without those of an arm that was left out the trials of all arms would be others.
    """
    if not set(sweep.arms[0].template.plugins) < set(before) or not all(map(spec_of, before)):
        return sweep
    arms = [replace(arm, template=replace(arm.template, plugins=tuple(before))) for arm in sweep.arms]
    return sweep.model_copy(update={"arms": tuple(arms)})
