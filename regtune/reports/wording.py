"""How tables word the knobs of a trial."""

from __future__ import annotations

import json
from typing import Any

from regtune.records import ONE_OF, SWITCH


def knobs_chosen(text: str) -> str:
    """Return searched knobs (JSON, by path) as a reader wants them: `dropout=on, dropout.p_hidden=0.2, mixing=none`."""
    return ", ".join(f"{knob_name(path)}={_value(path, value)}" for path, value in json.loads(text).items())


def knob_name(path: str) -> str:
    """Return the name of a knob without what the reader knows: a switch is its method, an optimizer's knob its own."""
    owner, _, knob = path.partition(".")
    if knob in (SWITCH, ONE_OF):
        return owner
    return knob if owner == "optimizer" else path


def _value(path: str, value: Any) -> str:
    if path.endswith(f".{SWITCH}"):
        return "on" if value else "off"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
