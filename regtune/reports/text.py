"""How tables word knobs and numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from regtune.core.metric import Metric
from regtune.core.search_space import OPTIMIZER, KnobPath
from regtune.statistics.power import MOST

THIS = "this configuration"


def knobs_chosen(text: str) -> str:
    """Return searched knobs (JSON, by path) as a reader wants them: `dropout=on, dropout.p_hidden=0.2, mixing=none`."""
    return ", ".join(f"{knob_name(path)}={_value(path, value)}" for path, value in json.loads(text).items())


def knob_name(path: str) -> str:
    """Return the name of a knob without what the reader knows: a switch is its method, an optimizer's knob its own."""
    at = KnobPath.of(path)
    if at.is_choice:
        return at.owner
    return at.knob if at.owner == OPTIMIZER else path


def _value(path: str, value: Any) -> str:
    if KnobPath.of(path).is_switch:
        return "on" if value else "off"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def number(value: float, form: str) -> str:
    """Return a number, a dash for NaN."""
    return "–" if math.isnan(value) else format(value, form)


def interval(mean: float, low: float, high: float, *, form: str = ".2f", sign: str = "", factor: float = 100) -> str:
    """Return a fraction and its interval in percent, or in another unit by a `factor`; a dash where there is none."""
    if math.isnan(mean):
        return "–"
    if math.isnan(low):
        return f"{factor * mean:{sign}{form}} no interval"
    # An end cut at 0 excludes 0, which a reader of differences must be able to see.
    left = "(0" if low == 0 and sign else f"[{factor * low:{sign}{form}}"
    right = "0)" if high == 0 and sign else f"{factor * high:{sign}{form}}]"
    return f"{factor * mean:{sign}{form}} {left}, {right}"


def interval_words(metric: Metric) -> str:
    """Return what the interval of a mean is, see `columns.mean_columns`."""
    return "95 % interval (t on the logit scale)" if metric.percent else "95 % t-interval"


def mean_and_sd(mean: float, sd: float, form: str) -> str:
    """Return a mean and its standard deviation; the mean alone where there is none."""
    return number(mean, form) if math.isnan(sd) else f"{mean:{form}} ± {sd:{form}}"


def verdict_words(verdict: str, scope: str) -> str:
    """Return a verdict of a comparison, with what it is about where that is not the method.

    A verdict from one search says which of two configurations is better; the next search may find others.
    """
    return f"{THIS}: {verdict}" if scope == "configuration" and verdict in ("better", "worse") else verdict


def further_words(further: float) -> str:
    """Return how many more would resolve a difference, to stand behind the verdict; empty for NaN."""
    if math.isnan(further):
        return ""
    return f" (over {MOST:,})" if math.isinf(further) else f" (+{further:.0f})"


def by_phase(phases: Sequence[Iterable[Any]], form: str = "") -> list[str]:
    """Return search + confirm, or search + select + confirm; a dash for what is not known of one."""
    return [" + ".join(number(value, form) for value in values) for values in zip(*phases, strict=True)]
