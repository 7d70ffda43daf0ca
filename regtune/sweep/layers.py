"""What a sweep file is put together from: a file that it includes lies below it, changes by hand above.

include = "base.toml"                                  a file beside this one, or in a folder there
regtune run FILE --set training.epochs=10              a setting by its path, and a TOML value

What a file says goes over what it includes, setting by setting. But a range stands alone, and so does a table that
names another data set, network or optimizer: what was said of the one is no setting of the other.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from regtune.core.errors import Refused, shown
from regtune.sweep.ranges import ENDS
from regtune.sweep.reading_toml import read_toml

INCLUDE, NAME = "include", "name"
NAMED = {"data": None, "network": None, "optimizer": "sgd"}  # tables of one thing each, and what it is where unsaid
MOST_DEEP = 20
WORD = re.compile(r"[A-Za-z_][\w./:-]*")


def layered(source: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the tables of a file over those that it includes, with these changes (`PATH=VALUE`); raises Refused."""
    tables = _read(source, ())
    for change in changes:
        _set(tables, change)
    return tables


def files_of(source: Path) -> list[Path]:
    """Return a file and the one that it includes, and so on; raises Refused."""
    found = [source]
    while (below := _included(found[-1], read_toml(found[-1]).get(INCLUDE))) is not None and below not in found:
        found.append(below)
    return found


def _read(source: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    tables = read_toml(source)
    if len(above) > MOST_DEEP:
        raise Refused(f"{INCLUDE}: expected at most {MOST_DEEP} files that include one another, given more")
    below = _included(source, tables.pop(INCLUDE, None))
    if below is None:
        return tables
    if below in (*above, source):
        raise Refused(f"{INCLUDE}: expected files that do not include each other, given {below.name} again")
    try:
        found = _read(below, (*above, source))
    except Refused as error:
        raise Refused(f"{INCLUDE} {below.name}: {error}") from error
    found.pop(NAME, None)  # two sweeps on one base would have one folder
    return _over(found, tables, top=True)


def _included(source: Path, given: object) -> Path | None:
    if given is None:
        return None
    path = PurePosixPath(given) if isinstance(given, str) else None
    if path is None or path.is_absolute() or ".." in path.parts or not path.parts:
        raise Refused(
            f"{INCLUDE}: expected the name of a file beside this one or in a folder there, as 'base.toml', "
            f"given {shown(given)}"
        )
    return source.parent / path


def _over(below: dict[str, Any], above: dict[str, Any], *, top: bool = False) -> dict[str, Any]:
    """Return two tables put together."""
    found = dict(below)
    for name, value in above.items():
        old = found.get(name)
        if isinstance(old, dict) and isinstance(value, dict) and not (top and _names_another(name, old, value)):
            found[name] = value if value.keys() & {*ENDS} else _over(old, value)
        else:
            found[name] = value
    return found


def _names_another(table: str, below: dict[str, Any], above: dict[str, Any]) -> bool:
    return table in NAMED and NAME in above and above[NAME] != below.get(NAME, NAMED[table])


def _set(tables: dict[str, Any], change: str) -> None:
    """Set one setting."""
    key, equals, value = change.partition("=")
    path = _path(key) if equals else None
    if path is None:
        raise Refused(f"--set {change}: expected PATH=VALUE, as training.epochs=10")
    if path[0] == INCLUDE:
        raise Refused(f"--set {change}: expected a setting, given a file; write {INCLUDE} into a sweep file")
    *tables_on_the_way, last = path
    table = tables
    for place, name in enumerate(tables_on_the_way):
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            way = ".".join(path[: place + 1])
            raise Refused(f"--set {change}: expected a table at {way}, given {shown(table)}; set {way} as a whole")
    table[last] = _value(change, value)


def _path(key: str) -> list[str] | None:
    """Return the names in a TOML key, as in `arms.dropout."p"`; None where it is none."""
    try:
        found: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        return None
    path = []
    while isinstance(found, dict):
        if len(found) != 1:
            return None
        ((name, found),) = found.items()
        path.append(name)
    return path


def _value(change: str, text: str) -> Any:
    """Return a TOML value; a word needs no quotation marks, which a shell would take."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        found = {"value": text} if WORD.fullmatch(text) else {}
    if found.keys() != {"value"}:
        raise Refused(f"--set {change}: expected a TOML value, as 10, 0.5, true, [1, 2], 'a text' or a word")
    return found["value"]
