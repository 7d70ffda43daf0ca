"""The searched spaces of a log's header: the text of Optuna's distributions, read back without running it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import MappingProxyType

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from regtune.records import Plain

KINDS: Mapping[str, type[BaseDistribution]] = MappingProxyType(
    {cls.__name__: cls for cls in (CategoricalDistribution, FloatDistribution, IntDistribution)}
)


def spaces(arm: Plain) -> dict[str, BaseDistribution]:
    """Return the distribution of each searched knob of an arm of the header, by path."""
    return {path: _read(text) for path, text in arm["space"].items()}


def _read(text: str) -> BaseDistribution:
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError(f"a space is the text of a distribution, given {text!r}")
    settings = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    return KINDS[call.func.id](**settings)
