"""Knobs that came later than the first logs: what a method did before, and what it does by default now.

A written recipe that does not name such a knob is of before: its trials keep their ids and their bits. Where methods do
another thing now, one that trains as they do names the knob, so that logs tell the two apart, and a sweep that began
before is not gone on with. Where the default is what was done before, it is not written, and a sweep goes on. Such a
knob is `late` too, see `knobs.Knob`: it is then left out of what pretraining hangs on.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Later(NamedTuple):
    """What a row without the knob means where it was written, and where it is given today: the knob's default."""

    before: Any
    now: Any


LATER: dict[str, dict[str, Later]] = {  # by method and knob
    "contrastive": {"pictures": Later(before="train", now="train")},
    "denoising_autoencoder": {"layerwise": Later(before=False, now=False)},
    "ema": {"warm_up": Later(before=False, now=True)},
    "rotation_prediction": {"pictures": Later(before="train", now="train")},
    "transfer": {"weights": Later(before="", now="")},
}


def written(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a method as logs have it: a later knob is there unless it stands where it stood before."""
    known = LATER.get(str(row.get("name")), {})
    given = {knob: row.get(knob, later.now) for knob, later in known.items()}
    rest = {name: value for name, value in row.items() if name not in known}
    return rest | {knob: value for knob, value in given.items() if value != known[knob].before}


def read_back(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a method with all later knobs, given that of a log."""
    return {**row, **{n: row.get(n, later.before) for n, later in LATER.get(str(row.get("name")), {}).items()}}
