"""What is said of the hidden copy of the baseline: what it would have been called, had it been an arm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from regtune.analysis.columns import difference_columns
from regtune.analysis.families import repeat_means, search_variances
from regtune.analysis.repeats import counted_repeats
from regtune.analysis.verdicts import against_baseline
from regtune.core.copies import is_copy
from regtune.core.metric import Metric
from regtune.core.records import OPEN, Json
from regtune.reports.tables.rows import fewer
from regtune.reports.text import interval
from regtune.results.loader import Results
from regtune.statistics import Comparison
from regtune.statistics.comparisons import compare_with
from regtune.statistics.search_variance import mean_known

FALSE = "That is a false verdict. By design 5 % of all sweeps have one."
BY_SEARCH = (
    "That is a false verdict. By design 5 % of all sweeps have one by the luck of the seeds of confirm. The luck of "
    "search adds more, since verdicts about the configurations found leave it out."
)


@dataclass(frozen=True, kw_only=True)
class AA:
    """The comparison of the copy with the baseline, alone at 95 %, None before there is one; and the words for it."""

    found: Comparison | None
    words: str

    def plain(self) -> Json:
        """Return the strict-JSON form: numbers as fractions, None for what cannot be said."""
        columns = difference_columns(self.found)
        names = ("verdict", "difference", "difference_low", "difference_high", "p", "pairs", "note")
        row: Json = {name: columns[name] for name in names}
        numbers = {name: None for name, value in row.items() if isinstance(value, float) and math.isnan(value)}
        return row | numbers | {"sentence": self.words}


def aa(results: Results) -> AA | None:
    """Return what is said of the copy of a sweep, None where it has none, or nothing of it is confirmed yet."""
    copied = results.copied
    if copied is None or not any(is_copy(arm) for arm in copied.confirmed["arm"]):
        return None
    subject = f"A copy of the baseline, {_how(results)} on other seeds,"
    confirm = copied.of_phase("confirm")
    if copied.rivals_open or confirm["status"].isin(OPEN).any():
        return AA(found=None, words=f"{subject} is still being trained.")
    terms = results.sweep.confirm
    over = search_variances(results, results.sweep.confirm.metric.test) or {}
    # As an arm would be judged: by no smaller variance over searches than that of the arms.
    (found,) = against_baseline(copied, least=mean_known(over.values())).values()
    false = BY_SEARCH if not terms.over_searches and _chosen(results) else FALSE
    return AA(found=found, words=_said(subject, found, false, terms.seeds, "seeds", results.sweep.confirm.metric))


def aa_over(repeats: Sequence[Results]) -> AA | None:
    """Return what is said of the copies of the repeats that count, over whole searches; None without them."""
    whole = [results.copied for results in counted_repeats(repeats).counted if results.copied is not None]
    if not whole:
        return None
    baseline, copy = whole[0].sweep.arms
    metric = repeats[0].sweep.confirm.metric
    scores = {arm: repeat_means(whole, arm, metric) for arm in (baseline, copy)}
    found = compare_with(scores, baseline, better=metric.better)
    subject = f"A copy of the baseline, {_how(repeats[0])} on other seeds in each repeat,"
    return AA(found=found[copy], words=_said(subject, found[copy], FALSE, len(whole), "repeats", metric))


def aa_cost(results: Results) -> str:
    """Say what the copy took, which is in no row; empty without one."""
    copied = results.copied
    if copied is None:
        return ""
    trials = sum(is_copy(key.arm) for key in copied.plain_trials)
    parts = [part for part in (copied.epochs, copied.superseded) if len(part)]
    epochs, seconds = sum(map(len, parts)), sum(float(part["seconds"].sum()) for part in parts)
    return (
        f"In addition, the hidden copy of the baseline took {trials} trials, {epochs:,} epochs, {seconds:.1f} seconds."
    )


def _said(subject: str, found: Comparison, false: str, most: int, unit: str, metric: Metric) -> str:
    if found.note:
        return f"{subject} has no verdict: {found.note}."
    ends = (found.mean, found.low, found.high)
    told = interval(*ends, form=metric.form, sign="+", factor=metric.factor) + fewer(found.n, most, unit)
    verdict = f"would have been called {found.verdict}: {told}."
    return f"{subject} {verdict} {false}" if found.verdict != "unresolved" else f"{subject} {verdict}"


def _how(results: Results) -> str:
    return "chosen and confirmed" if _chosen(results) else "confirmed"


def _chosen(results: Results) -> bool:
    """Return whether the copy has a choice of its own: by trials of search, or by scores of select."""
    return not results.sweep.paired or bool(results.sweep.select)
