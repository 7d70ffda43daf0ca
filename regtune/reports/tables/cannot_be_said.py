"""What a comparison table cannot tell, in sentences: beside a dash a reader wants the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from regtune.analysis.columns import metric_of
from regtune.analysis.verdicts import futile_arms
from regtune.core.metric import ACCURACY
from regtune.reports.tables.families import without_number
from regtune.results.loader import Results
from regtune.statistics import FEWEST
from regtune.statistics.comparisons import NOT_KNOWN


def cannot_be_said(table: pd.DataFrame, unit: str = "seed", apart: str = "no {unit} shared with {first}") -> list[str]:
    """Return what cannot be said of which arms, and why; the frame is that of `comparison`, or has `unit`s in n.

    `apart` says why an arm with confirmed trials has no pairs.
    """
    baseline, others, metric = table.iloc[0], table.iloc[1:], metric_of(table)
    has = "ended well" if metric == ACCURACY else "that ended well has a value"
    alone, several = table[table["n"] == 1], table[table["n"] > 1]
    on = others[others["verdict"] != "off is as good"]  # of which nothing is left unsaid
    few = on[(on["pairs"] > 0) & (on["pairs"] < FEWEST)]
    unknown = on["note"] == NOT_KNOWN
    tied = on[(on["pairs"] >= FEWEST) & on["difference_low"].isna() & ~unknown]
    sentences = [
        _named(table[table["n"] == 0], f"no result on test {metric.words}, since no confirmed trial {has}"),
        _named(alone, f"one {unit} only, so no interval"),
        _named(
            several[several[f"{metric.test}_low"].isna()], f"all {unit}s have the same score, which gives no interval"
        ),
        _named(few, f"fewer than {FEWEST} {unit}s shared with {baseline['arm']}, so no interval, p-value or verdict"),
        _named(on[unknown], f"{NOT_KNOWN}, so no interval or verdict"),
        _named(tied, f"the difference to {baseline['arm']} is the same for all {unit}s, so no interval or verdict"),
    ]
    if baseline["n"]:
        why = apart.format(unit=unit, first=baseline["arm"])
        sentences.append(_named(others[(others["n"] > 0) & (others["pairs"] == 0)], f"{why}, so no difference"))
    if not baseline["n"] and math.isnan(baseline[metric.test]) and others["n"].any():
        sentences.append(f"No arm can be compared with {baseline['arm']}, which has no confirmed trial.")
    return [sentence for sentence in sentences if sentence]


def _named(rows: pd.DataFrame, what: str) -> str:
    arms: Sequence[str] = rows["arm"].to_list()
    return f"{', '.join(arms)}: {what}." if arms else ""


def resolved_on_this_test_set(table: pd.DataFrame) -> list[str]:
    """Return which verdicts lean on this test set: over other test examples too, the difference may be 0.

    Where Holm alone rejects, the simultaneous interval is cut at 0 and the other cannot be told from it.
    """
    resolved = (table["difference_low"] > 0) | (table["difference_high"] < 0)
    holds_zero = (table["crossed_low"] <= 0) & (table["crossed_high"] >= 0)
    what = "resolved on this test set only; with test examples resampled too, the difference might be 0"
    sentence = _named(table[resolved & holds_zero], what)
    return [sentence] if sentence else []


def held_words(results: Results, table: pd.DataFrame) -> list[str]:
    """Return in a sentence which arms a race over searches gave up while their spread over searches is known.

    The frame is that of `comparison`.
    """
    known = set(table[table["note"] != NOT_KNOWN]["arm"])
    arms = [arm for arm in futile_arms(results) if arm in known]
    if not arms:
        return []
    return [
        f"{', '.join(arms)}: no more seeds, since the variance over searches alone would keep the verdict unresolved. "
        f"More trials in search might resolve it, more seeds would not."
    ]


WHY = "a class without an example in the split, or answers that are not finite"


def undefined(results: Results) -> list[str]:
    """Return how many trials lack the metric of the sweep, and what they count for; nothing where none does."""
    search, confirm = results.sweep.search.metric, results.sweep.confirm.metric
    told = []
    if search != ACCURACY:
        trials = results.trials[results.trials["phase"].isin(["search", "select"])]
        ended = trials[trials["status"].isin(["ok", "pruned"]) & (trials["epochs"] > 0)]
        if count := int(ended[search.val].isna().sum()):
            told.append(
                f"Validation {search.words} is undefined in {count} of {len(ended)} trials of search and select "
                f"({WHY}); they count as the worst there."
            )
    lacking = without_number(results, [confirm]) if confirm != ACCURACY else []
    return [*told, *(f"{each} Undefined is {WHY}." for each in lacking)]
