"""Verdicts on likelihood and calibration: their cells, the answer, what they are over, what cannot be said."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from regtune.analysis.columns import Row, metric_of
from regtune.analysis.families import first_look, other_metrics
from regtune.core.metric import Metric
from regtune.reports.tables.rows import fewer
from regtune.reports.text import THIS, interval
from regtune.results.loader import Results

OVER_SEEDS = "over the seeds that have the number in both arms"
OVER_REPEATS = "over the repeats that have the number in both arms"


def families_caption(results: Results, metrics: Sequence[Metric], over: str) -> str:
    """Say what the verdicts on these metrics are over, in one sentence, and one more in a race; empty without any."""
    if not metrics:
        return ""
    baseline = results.sweep.baseline
    heads = " and ".join(f"{metric.short} difference (in {metric.unit})" for metric in metrics)
    heads = heads[0].upper() + heads[1:]
    looked = first_look(results)
    which = "these and their means" if over == OVER_REPEATS else "these"
    search, own = results.sweep.search.metric, results.sweep.confirm.metric
    raced = (
        f" A race decides by {own.words} which arms continue; {which} are of its first {looked} seeds alone, which all "
        f"arms have."
    )
    return (
        f"{heads}: arm minus {baseline}, below 0 is better{_above(metrics)}. They are of the configurations chosen by "
        f"validation {search.words}, paired {over}, with simultaneous 95 % intervals (Bonferroni), cut at 0 where only "
        f"Holm's test rejects. Verdicts: paired t-tests with Holm's correction over all arms. Each metric is a family "
        f"of its own, as {own.words} is (any false rejection: 5 % in each, not over all together)."
        f"{'' if looked is None else raced}"
    )


def _above(metrics: Sequence[Metric]) -> str:
    higher = [metric.short for metric in metrics if metric.better == "higher"]
    return f", of {' and '.join(higher)} above 0" if higher else ""


def families_answer(table: pd.DataFrame) -> list[str]:
    """Return a sentence on the families in which arms are better or worse than the first; none where there are none."""
    said, about = [], f", {THIS}" if table["scope"].iloc[0] == "configuration" else ""
    for metric in other_metrics(metric_of(table)):
        verdicts = table[f"{metric.test}_verdict"]
        named = {word: table[verdicts == word]["arm"].to_list() for word in ("better", "worse")}
        if parts := [f"{word} {', '.join(arms)}" for word, arms in named.items() if arms]:
            said.append(f"{metric.long}{about}: {'; '.join(parts)}.")
    return [" ".join(said)] if said else []


def families_unsaid(table: pd.DataFrame, metrics: Sequence[Metric]) -> list[str]:
    """Return of which arms and metrics nothing is said, and why; the table has the columns of both."""
    sentences = []
    for metric in metrics:
        by_note = table.groupby(f"{metric.test}_note", sort=False)["arm"].agg(", ".join)
        why = [f"{arms} ({note})" for note, arms in by_note.items() if note]
        if why:
            sentences.append(f"No interval or verdict on {metric.short}: {'; '.join(why)}.")
    return sentences


def without_number(results: Results, metrics: Sequence[Metric]) -> list[str]:
    """Return which confirmed trials ended well and lack a metric: their seeds are in no difference of it."""
    confirmed = results.confirmed
    sentences = list[str]()
    for metric in metrics:
        lacking = confirmed[confirmed[metric.test].isna()]["arm"]
        told = [f"{arm} {n}" for arm in results.sweep.arms if (n := int((lacking == arm).sum()))]
        if told:
            sentences.append(
                f"Confirmed trials that ended well without a finite test {metric.short} in the log: {', '.join(told)}. "
                f"Its means and differences leave out their seeds."
            )
    return sentences


def family_cells(frame: pd.DataFrame, metric: Metric, unit: str) -> list[str]:
    """Return the differences of a metric with their intervals and verdicts; the frame has its columns.

    Behind a difference stands over how many of a `unit` it is, where they are fewer than the most behind any mean.
    """
    most = frame[f"{metric.test}_n"].max()
    return [_cell(row, metric, most, unit) for row in frame.to_dict("records")]


def _cell(row: Row, metric: Metric, most: int, unit: str) -> str:
    """Return one difference: with its verdict where the data allow one, and empty for the first arm."""
    mean, low, high, verdict, note, pairs = (
        row[f"{metric.test}_{name}"]
        for name in ("difference", "difference_low", "difference_high", "verdict", "note", "pairs")
    )
    if not verdict:
        return ""
    if verdict == "off is as good":
        return "0"
    text = interval(mean, low, high, form=metric.form, sign="+", factor=metric.factor)
    return " ".join(filter(None, [text, "" if note else verdict])) + fewer(pairs, most, unit)
