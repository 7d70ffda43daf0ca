"""Knobs: one line that gives a setting its default, its legal values, its search space and its meaning.

A knob is a field of a frozen dataclass made by `knob(...)`. The same description checks sweep files,
builds Optuna's distributions, prints the catalogue and names the setting at which a method is off.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
import typing
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from regtune.core.errors import Refused, nearest, shown
from regtune.core.records import ONE_OF, SWITCH

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

OFF = "off"
LARGEST = 1e300


class Table(dict[str, Any]):
    """A table of settings as the value of a knob: strict JSON, which nobody changes, so that it has a hash."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none, since it may change
        return hash(json.dumps(self, sort_keys=True))

    @classmethod
    def read(cls, value: object, where: str) -> Table:
        """Return the table that was given; raises Refused for what strict JSON cannot hold."""
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise Refused(f"{where}: expected a table of settings, given {shown(value)}")
        try:
            return cls(json.loads(json.dumps(value, allow_nan=False)))
        except (TypeError, ValueError, RecursionError) as error:
            raise Refused(
                f"{where}: expected a table of numbers, words, true and false, lists and tables, given {shown(value)}"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Knob:
    """The description of one setting.

    `kind` is int, float, bool, str, dict (a table, read as `Table`) or tuple (a list, each an `item`: int, float or
    str). `legal` is an interval
    for numbers, the allowed words for strings. `off` is what the word "off", or another `word`, stands for, if there
    is one; at `neutral` the method does nothing. A `late` knob came after logs: at its default it is not written.
    With `stretch` `space` is for so many epochs, and another knob says how many are counted as one: see `stretched`.
    """

    name: str
    kind: type
    default: Any
    legal: Interval | tuple[str, ...] | None
    space: BaseDistribution | None
    meaning: str
    off: Any = None
    word: str = OFF
    neutral: Any = None
    late: bool = False
    stretch: tuple[int, str] | None = None
    item: type = int

    def check_space(self, where: str) -> None:
        """Raise Refused if the default search space leaves the legal values."""
        ends = [getattr(self.space, end) for end in ("low", "high") if hasattr(self.space, end)]
        if isinstance(self.legal, Interval) and not all(end in self.legal for end in ends):
            raise Refused(f"{where}: expected a search space within {self.legal.text}, given {ends}")

    def expected(self) -> str:
        """Say in words what values this knob takes."""
        noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
        of_items = {float: "a list of numbers", str: "a list of words"}.get(self.item, "a list of whole numbers")
        text = noun.get(self.kind, "a table of settings" if self.kind is dict else of_items)
        if isinstance(self.legal, Interval):
            text += f" in {self.legal.text}"
        elif self.legal:
            text = "one of " + ", ".join(map(repr, self.legal))
        return text + (f' or "{self.word}"' if self.off is not None else "")

    def read(self, value: object, where: str) -> Any:
        """Return the checked Python value of a plain one; raises Refused, naming `where`."""
        if self.off is not None and isinstance(value, str) and value == self.word:
            return self.off
        if self.kind is dict:
            return Table.read(value, where)
        if self.kind is not tuple:
            return self._item(value, self.kind, where)
        if not isinstance(value, list | tuple):
            raise Refused(f"{where}: expected {self.expected()}, given {shown(value)}")
        return tuple(self._item(item, self.item, f"{where}[{i}]") for i, item in enumerate(value))

    def plain(self, value: Any) -> Any:
        """Return the strict-JSON form of a value: the word "off" instead of infinity."""
        if self.off is not None and value == self.off:
            return self.word
        if self.kind is dict:
            return dict(value)
        return list(value) if self.kind is tuple else value

    def _item(self, value: object, kind: type, where: str) -> Any:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        right_type = numeric if kind is float else type(value) is kind
        if right_type and kind in (int, float):
            number = typing.cast(float, value)  # bounds refuse NaN, infinity and integers that no float can hold
            legal = not isinstance(self.legal, Interval) or number in self.legal
            right_type = -LARGEST <= number <= LARGEST and legal
        elif right_type and isinstance(self.legal, tuple):
            right_type = value in self.legal
        if not right_type:
            hint = nearest(value, self.legal) if isinstance(self.legal, tuple) else ""
            raise Refused(f"{where}: expected {self.expected()}, given {shown(value)}{hint}")
        return float(typing.cast(float, value)) if kind is float else value


def knob(
    *,
    default: Any,
    meaning: str,
    legal: str | tuple[str, ...] | None = None,
    space: BaseDistribution | None = None,
    off: Any = None,
    word: str = OFF,
    neutral: Any = None,
    late: bool = False,
    stretch: tuple[int, str] | None = None,
) -> Any:
    """Declare a knob as the default of a dataclass field; see `Knob` for the arguments."""
    description = {
        "legal": Interval.parse(legal) if isinstance(legal, str) else legal,
        "space": space,
        "meaning": meaning,
        "off": off,
        "word": word,
        "neutral": neutral,
        "late": late,
        "stretch": stretch,
    }
    return dataclasses.field(default=default, metadata={"knob": description})


def knobs(cls: type) -> dict[str, Knob]:
    """Return the knobs of a dataclass by name, in the order in which they are written."""
    return _knobs(cls)


@cache
def _knobs(cls: Hashable) -> dict[str, Knob]:
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls):
        raise TypeError(f"expected a dataclass, given {cls!r}")
    owner, found = f"{cls.__module__}.{cls.__qualname__}", {}
    for field in dataclasses.fields(cls):
        where = f"{owner}.{field.name}"
        if "knob" not in field.metadata:
            raise Refused(
                f"{where}: expected knob(default=..., meaning=...), given a field without it, in {_file(cls)}; sweep "
                f"files set knobs only; a constant is a ClassVar"
            )
        if field.name in (SWITCH, ONE_OF):
            raise Refused(f"{where}: expected another name, switch and one_of are words of sweep files; rename it")
    try:
        hints = typing.get_type_hints(cls)
    except NameError as error:
        raise Refused(f"{owner}: expected annotations of names that are there, in {_file(cls)}: {error}") from error
    for field in dataclasses.fields(cls):
        where = f"{owner}.{field.name}"
        kind, item = _kind(hints[field.name], where)
        more = field.metadata["knob"]
        found[field.name] = Knob(name=field.name, kind=kind, item=item, default=field.default, **more)
        found[field.name].check_space(where)
    return found


def _file(cls: type) -> str:
    """Return the file in which a class is written, its module where it is in none."""
    return str(getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__)


def _kind(hint: Any, where: str) -> tuple[type, type]:
    """Return the plain kind of a field and of its items: `float | Tensor` is float, `tuple[int, ...]` tuple of int."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    for option in typing.get_args(hint) if union else (hint,):
        plain = typing.get_origin(option) or option
        if plain in (bool, int, float, str):
            return plain, int
        if plain is Table:
            return dict, int
        if plain is tuple and typing.get_args(option)[:1] in ((int,), (float,), (str,)):
            return tuple, typing.get_args(option)[0]
    raise Refused(
        f"{where}: expected a knob of type bool, int, float, str, Table, tuple[int, ...], tuple[float, ...] or "
        f"tuple[str, ...], given {hint!r}"
    )


def read_settings(cls: type, values: object, where: str) -> dict[str, Any]:
    """Check plain settings against the knobs of `cls`; raises Refused in one line."""
    known = knobs(cls)
    if not isinstance(values, dict):
        raise Refused(f"{where}: expected a table of settings, given {shown(values)}")
    for name in values:
        if name not in known:
            raise Refused(f"{where}: unknown setting {shown(name)}{nearest(name, known)}")
    return {name: known[name].read(value, f"{where}.{name}") for name, value in values.items()}


def plain_settings(value: Any) -> dict[str, Any]:
    """Return the knobs of a configured dataclass value in strict-JSON form, without late ones at their default."""
    given = ((k, getattr(value, k.name)) for k in knobs(type(value)).values())
    return {k.name: k.plain(now) for k, now in given if not k.late or now != k.default}


_INTERVAL = re.compile(r"^([\[(])\s*([^,\s]+)\s*,\s*([^,\s]+)\s*([\])])$")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A range of numbers, written as in mathematics: `[0, 1)`."""

    text: str
    low: float
    high: float
    low_open: bool
    high_open: bool

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read `[0, 1)`; raises ValueError for anything else."""
        match = _INTERVAL.match(text)
        if match is None:
            raise ValueError(f"an interval is written like [0, 1), given {text!r}")
        left, low, high, right = match.groups()
        return cls(text=text, low=float(low), high=float(high), low_open=left == "(", high_open=right == ")")

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below
