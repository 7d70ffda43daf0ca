"""A sweep resumes by the rules of its log: those of its samplers, and what its race is over."""

from __future__ import annotations

from collections.abc import Sequence

from regtune.core.records import Json
from regtune.sweep.sweep import Sweep


def as_resumed(sweep: Sweep, rows: Sequence[Json]) -> Sweep:
    """Return the sweep for which a log with these rows resumes: by its rules of samplers, see `Sweep.as_in`.

    A race that was begun over configurations stays one unless its file names the scope: what it has decided was by
    that, so a race that is over adds nothing. Races of earlier versions were all over configurations.
    """
    sweep = sweep.as_in(rows)
    newest = next((row["sweep"]["confirm"] for row in reversed(rows) if row["event"] == "header"), None)
    if newest is None or sweep.confirm.scope or not (sweep.confirm.racing and newest.get("racing")):
        return sweep
    if newest.get("scope") == "searches":
        return sweep
    return sweep.model_copy(update={"confirm": sweep.confirm.model_copy(update={"scope": "configuration"})})
