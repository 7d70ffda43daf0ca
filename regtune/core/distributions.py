"""The searched range of a knob as a log has it, as a value, and in the words of a sweep file."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from regtune.core.records import Json

KINDS: Mapping[str, type[BaseDistribution]] = MappingProxyType(
    {cls.__name__: cls for cls in (CategoricalDistribution, FloatDistribution, IntDistribution)}
)


def choices_of(values: Iterable[Any]) -> CategoricalDistribution:
    """Return the choice among plain values, which may be lists.

    Optuna warns of lists, since not all of its storages can hold them; those that keep JSON do.
    """
    with _lists_allowed():
        return CategoricalDistribution(list(values))


def plain(space: BaseDistribution) -> Json:
    """Return Optuna's own JSON of a distribution, as a table: what it prints differs from release to release."""
    row: Json = json.loads(distribution_to_json(space))
    return row


def read(row: Json | str) -> BaseDistribution:
    """Return the distribution of a log's header: a table as above, or the text that Optuna printed in older logs."""
    with _lists_allowed():
        return _read_text(row) if isinstance(row, str) else json_to_distribution(json.dumps(row))


def read_all(rows: Mapping[str, Json | str]) -> dict[str, BaseDistribution]:
    """Return the distribution of each searched knob of a log's header, by path."""
    return {path: read(row) for path, row in rows.items()}


def words(space: BaseDistribution) -> str:
    """Return a distribution as a sweep file says it: `{ low = 0.1, high = 0.5, log = true }`, or a list of choices.

    Two that differ in a value differ in words.
    """
    if isinstance(space, CategoricalDistribution):
        return json.dumps(list(space.choices))
    if not isinstance(space, FloatDistribution | IntDistribution):
        raise TypeError(f"expected a float, int or categorical distribution, given {space!r}")
    usual = 1 if isinstance(space, IntDistribution) else None
    step = "" if space.step == usual else f", step = {space.step!r}"
    return f"{{ low = {space.low!r}, high = {space.high!r}{', log = true' if space.log else ''}{step} }}"


def holds(space: BaseDistribution, value: Any) -> bool:
    """Return whether a plain value is one that is searched; true and false are no numbers."""
    if isinstance(space, CategoricalDistribution):
        return any(type(value) is type(choice) and value == choice for choice in space.choices)
    if not isinstance(space, FloatDistribution | IntDistribution):
        raise TypeError(f"expected a float, int or categorical distribution, given {space!r}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not space.low <= value <= space.high:
        return False
    places = (value - space.low) / space.step if space.step else 0.0
    return abs(places - round(places)) < 1e-8


@contextmanager
def _lists_allowed() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Choices for a categorical distribution should be")
        yield


def _read_text(text: str) -> BaseDistribution:
    """Return the distribution of a text like `FloatDistribution(high=0.3, log=True, low=0.001, step=None)`."""
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError(f"a space is the text of a distribution, given {text!r}")
    settings = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    return KINDS[call.func.id](**settings)
