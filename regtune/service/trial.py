"""One trial of a sweep as its log has it: what it was, its epochs, and the command that trains it again."""

from __future__ import annotations

import shlex
from pathlib import Path

from pydantic import BaseModel, Field

from regtune.core.errors import shown
from regtune.core.records import Json, Trial, TrialKey
from regtune.results.loader import Results
from regtune.service.problems import Denied
from regtune.service.sweeps import event_id


class TrialOf(BaseModel):
    """A trial that was begun."""

    id: str
    status: str
    message: str = Field(description="why it failed; empty where it did not")
    params: Json = Field(description="values of the knobs that were searched, by path")
    trial: Json = Field(description="everything that determines its numbers, as the log has it")
    event: str = Field(description="the id of the newest event that is in this answer: those behind it go on from here")
    command: str = Field(description="trains it again on the machine of the results, and compares every number")


def trial_of(results: Results, key: TrialKey, data: Path | None) -> TrialOf:
    """Return a trial of results; raises Denied where it was not begun. `data` is where the service finds data."""
    plain = results.plain_trials.get(key)
    if plain is None:
        raise Denied(404, f"trial: expected one that has begun, given {shown(str(key))}")
    frame = results.trials
    row = frame[(frame["arm"] == key.arm) & (frame["phase"] == key.phase) & (frame["number"] == key.number)]
    first = row.iloc[0].to_dict() if len(row) else {}  # the hidden copy of the baseline has no row
    params = first.get("params")
    words = ["regtune", "trial", str(results.path), "--row", str(key), *(["--data", str(data)] if data else [])]
    return TrialOf(
        id=Trial.from_plain(plain).id,
        status=str(first.get("status", "")),
        message=str(first.get("message") or ""),
        params=params if isinstance(params, dict) else {},
        trial=plain,
        event=event_id(*results.end),
        command=shlex.join(words),
    )
