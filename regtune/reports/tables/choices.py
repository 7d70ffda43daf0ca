"""What the searches of several repeats chose for an arm, and how far that spreads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from regtune.core.search_space import KnobPath
from regtune.reports.text import knob_name
from regtune.results.loader import Results


def choices(counted: Sequence[Results], arm: str) -> dict[str, list[Any]]:
    """Return by path what each repeat chose for a knob, in their order; None where it was idle or none was chosen."""
    chosen = [results.chosen.get(arm, {}) for results in counted]
    return {path: [knobs.get(path) for knobs in chosen] for path in dict.fromkeys(p for knobs in chosen for p in knobs)}


def choices_as_text(text: str) -> str:
    """Return choices (JSON, by path) as a reader wants them: `learning_rate=0.01..0.03, mixing=mixup ×2 none ×1`."""
    return ", ".join(f"{knob_name(path)}={_spread(path, values)}" for path, values in json.loads(text).items())


def _spread(path: str, values: Sequence[Any]) -> str:
    """Return least and greatest of numbers, the counts of anything else, the most frequent first."""
    found = [value for value in values if value is not None]
    some = f" (in {len(found)})" if len(found) < len(values) else ""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in found):
        ends = dict.fromkeys(f"{end:.3g}" if isinstance(end, float) else str(end) for end in (min(found), max(found)))
        return "..".join(ends) + some
    switch = {True: "on", False: "off"} if KnobPath.of(path).is_switch else {}
    return " ".join(f"{switch.get(value, value)} ×{count}" for value, count in Counter(found).most_common()) + some
