"""Writing a sweep file: tables of plain values as TOML, which the standard library reads and does not write."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from regtune.core.errors import Refused, shown

BARE = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(tables: Mapping[str, Any]) -> str:
    """Return a sweep file with these tables: what is no table first, `[arms]` an arm a line; raises Refused.

    What it says is read back as it was given, numbers to the last digit.
    """
    own = [f"{_key(name)} = {_value(value, name)}" for name, value in tables.items() if not isinstance(value, Mapping)]
    parts = ["\n".join(own)] if own else []
    for name, table in tables.items():
        if isinstance(table, Mapping):
            lines = [f"{_key(key)} = {_value(value, f'{name}.{key}')}" for key, value in table.items()]
            parts.append("\n".join([f"[{_key(name)}]", *lines]))
    return "\n\n".join(parts) + "\n"


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise Refused(f"sweep: expected names that are words, given {shown(name)}")
    return name if BARE.fullmatch(name) else _text(name)


def _value(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return repr(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return repr(float(value))  # a number of numpy says its type too
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(each, f'{where}.{key}')}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(each, where) for each in value)}]"
    raise Refused(f"{where}: expected numbers, words, true and false, lists and tables, given {shown(value)}")


def _text(value: str) -> str:
    """Return a word as TOML has it: as JSON has it, but for characters of two parts, and DEL."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Refused(f"sweep: expected words in UTF-8, given {shown(value)}") from error
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
