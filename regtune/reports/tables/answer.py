"""The answer: which arms are better, worse or unresolved beside the first, by the verdicts of a comparison table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from regtune.analysis.columns import Row, metric_of
from regtune.core.metric import ACCURACY, Metric
from regtune.reports.tables.families import families_answer
from regtune.reports.tables.rows import difference_cell
from regtune.reports.text import THIS


@dataclass(frozen=True, kw_only=True)
class VerdictGroup:
    """What is said of some arms: the words, and the rows of the arms, in the order of the table."""

    words: str
    rows: pd.DataFrame


def verdict_groups(table: pd.DataFrame) -> list[VerdictGroup]:
    """Return who is better, worse and unresolved, and who is off if any is.

    Where verdicts are about the configuration that one search found, the words say so.
    The frame is that of `comparison`, or of `over_searches`.
    """
    first, others = table["arm"].iloc[0], table.iloc[1:]
    about = f", {THIS}" if table["scope"].iloc[0] == "configuration" else ""
    groups = {
        f"Better than {first}{about}": ["better"],
        f"Worse{about}": ["worse"],
        "Unresolved, which is not the same as equal": ["unresolved", ""],
    }
    found = [
        VerdictGroup(words=words, rows=others[others["verdict"].isin(verdicts)]) for words, verdicts in groups.items()
    ]
    off = others[others["verdict"] == "off is as good"]
    return [*found, VerdictGroup(words="Off is as good, by select", rows=off)] if len(off) else found


def answer(table: pd.DataFrame) -> list[str]:
    """Return the verdicts as sentences that name the arms, on the metric of the sweep first."""
    if len(table) == 1:
        return [_alone(table)]
    words = [f"{each.words}: {', '.join(each.rows['arm']) or 'none'}." for each in verdict_groups(table)]
    return [*_by(table), *words, *families_answer(table)]


def answer_lines(table: pd.DataFrame, unit: str) -> list[list[str]]:
    """Return the verdicts for a terminal, a line each, in pieces that are not to be broken.

    A piece is a word, or an arm with its difference and simultaneous interval; `n` counts what a `unit` is.
    Where the sweep says which difference matters, one line more says which arms are equal within it.
    """
    if len(table) == 1:
        return [_alone(table).split()]
    most, metric = table["n"].max(), metric_of(table)
    lines = [sentence.split() for sentence in _by(table)]
    for each in [*verdict_groups(table), *_equal(table)]:
        arms = [_told(row, most, unit, metric) for row in each.rows.to_dict("records")]
        lines.append([*f"{each.words}:".split(), *_listed(arms)])
    return lines + [sentence.split() for sentence in families_answer(table)]


def _by(table: pd.DataFrame) -> list[str]:
    """Say what verdicts are by, and which way is better; nothing where that is accuracy."""
    metric = metric_of(table)
    return [] if metric == ACCURACY else [f"Verdicts are by test {metric.words}: {metric.better} is better."]


def _told(row: Row, most: int, unit: str, metric: Metric) -> str:
    """Return an arm and its difference; the arm alone where there is none, or it is off."""
    alone = math.isnan(row["difference"]) or row["verdict"] == "off is as good"
    return row["arm"] if alone else f"{row['arm']} {difference_cell(row, most, unit, metric)}"


def _equal(table: pd.DataFrame) -> list[VerdictGroup]:
    if "relevant" not in table:
        return []
    equal = table[table["relevant"].str.startswith("equal")]
    unit = metric_of(table).unit
    return [
        VerdictGroup(words=f"{str(words).capitalize()} {unit}", rows=rows) for words, rows in equal.groupby("relevant")
    ]


def _listed(arms: Sequence[str]) -> list[str]:
    """Return arms with commas between them and a full stop behind the last."""
    *rest, last = arms or ["none"]
    return [*(f"{arm}," for arm in rest), f"{last}."]


def _alone(table: pd.DataFrame) -> str:
    return f"{table['arm'].iloc[0]} is the only arm: there is nothing to compare it with."
