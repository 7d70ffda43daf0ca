"""The table over several sweeps and its words: what is ranked, what the inference is over, what cannot be said."""

from __future__ import annotations

import math
from itertools import combinations

import pandas as pd

from regtune.analysis.labels import data_and_network, network_and_data
from regtune.analysis.sweeps import WINS, SweepsTogether, frame
from regtune.core.metric import ACCURACY, Metric
from regtune.core.records import OPEN
from regtune.reports.tables._table import Table
from regtune.reports.text import number
from regtune.results.loader import Results
from regtune.storage.layout import repeats_of


def sweeps_table(found: SweepsTogether) -> Table:
    """Return the table over several sweeps."""
    return Table(
        title="All arms over all sweeps",
        caption=caption_over_sweeps(found),
        frame=table_over_sweeps(found),
        sentences=sentences_over_sweeps(found),
    )


def table_over_sweeps(found: SweepsTogether) -> pd.DataFrame:
    """Return the table as a reader wants it: mean ranks, wins, and means."""
    rows = frame(found)
    columns = {"arm": rows["arm"], "mean rank": [number(value, ".2f") for value in rows["mean_rank"]]}
    if found.wins is not None:
        counts = rows[[*WINS]].itertuples(index=False)
        columns["win / tie / loss"] = ["" if pd.isna(each[0]) else " / ".join(map(str, each)) for each in counts]
    for (label, scores), metric in zip(found.scores.iterrows(), _metrics(found), strict=True):
        head = f"{label} %" if metric == ACCURACY else f"{label} ({metric.short}{metric.percent})"
        columns[head] = [number(metric.factor * value, metric.form) for value in scores]
    return pd.DataFrame(columns)


def caption_over_sweeps(found: SweepsTogether) -> str:
    """Say what may be concluded from the table, what it shows and what the inference is over."""
    each = [f"{label}: {network_and_data(one)}" for label, one in zip(found.scores.index, found.sweeps, strict=True)]
    return " ".join(
        [
            conclusion_over_sweeps(found),
            f"{len(found.sweeps)} sweeps together ({'; '.join(each)}). {_means(found)} of the confirmed "
            f"trials of each arm that ended well. Ranks are by that mean (1 is the best, ties are shared), "
            f"{_over(found)}; they depend on which arms are compared.",
            *_left_out(found),
            *_repeats(found),
            *_unfinished(found),
            "The inference is over sweeps, taken as a random sample of the sweeps that one might run.",
            *_tests(found),
            *_alike(found),
            _wins(found),
        ]
    )


def conclusion_over_sweeps(found: SweepsTogether) -> str:
    """Say in one sentence what a reader may conclude from the table, and of what."""
    return f"Which arms rank ahead of others over sweeps like these {len(found.sweeps)}."


def caveats(found: SweepsTogether) -> list[str]:
    """Return what a reader of the ranks must know where the caption is not shown: what counts, and what may change."""
    return [*_left_out(found), *_repeats(found), *_unfinished(found), *_alike(found)]


def sentences_over_sweeps(found: SweepsTogether) -> list[str]:
    """Return what the ranks say, or why they say nothing."""
    ranks, mean = found.ranks, found.ranks.mean
    if mean.isna().all():
        none = (
            "no arm is in every sweep" if mean.empty else "no sweep has a confirmed trial of every arm that is ranked"
        )
        return [f"No result over sweeps: {none}."]
    best = mean[mean == mean.min()]
    said = [f"Best mean rank: {', '.join(map(str, best.index))}, {best.iloc[0]:.2f}."]
    if ranks.note:
        return [*said, f"No two arms can be told apart over sweeps: {ranks.note}."]
    if math.isinf(found.reach):
        return [*said, f"No two arms are told apart over these sweeps: Friedman's p = {ranks.p:.3g}."]
    if len(set(found.first.values())) > 1:
        apart = [abs(mean[a] - mean[b]) > found.reach for a, b in combinations(mean.index, 2)]
        return [*said, f"Told apart over these sweeps: {sum(apart)} of {len(apart)} pairs of arms."]
    first = next(iter(found.first.values()))
    ahead = [str(arm) for arm in mean.index if mean[first] - mean[arm] > found.reach]
    behind = [str(arm) for arm in mean.index if mean[arm] - mean[first] > found.reach]
    words = f"ranked ahead of it: {', '.join(ahead) or 'none'}; behind it: {', '.join(behind) or 'none'}"
    if not ahead and not behind:
        return [*said, f"No arm is told apart from {first} over these sweeps."]
    return [*said, f"Told apart from {first} over these sweeps, {words}."]


def _metrics(found: SweepsTogether) -> list[Metric]:
    return [results.sweep.confirm.metric for results in found.sweeps]


def _means(found: SweepsTogether) -> str:
    """Say what is averaged: one metric, or in each sweep that of its own verdicts."""
    metrics = list(dict.fromkeys(_metrics(found)))
    if len(metrics) == 1:
        return metrics[0].measured("Mean test")
    each = "; ".join(metric.measured("test").removesuffix(",") for metric in metrics)
    return f"Means on test, in each sweep by the metric of its verdicts ({each}),"


def _over(found: SweepsTogether) -> str:
    n, of = found.ranks.n, len(found.sweeps)
    return f"the mean over all {of}" if n == of else f"the mean over {n} of them"


def _left_out(found: SweepsTogether) -> list[str]:
    """Name the arms that are not ranked and the sweeps that do not count, each with the reason."""
    ranked = found.ranks.mean.index
    without = [str(arm) for arm in found.scores if arm not in ranked]
    words = [f"Not ranked, since not every sweep has it: {', '.join(without)}."] if without else []
    lacking = []
    for label in found.ranks.left_out:
        missing = [arm for arm in map(str, ranked) if math.isnan(float(found.scores[arm][label]))]
        lacking.append(f"{label} (no confirmed trial of {', '.join(missing)})")
    return [*words, f"Left out of the ranks, since it lacks an arm: {'; '.join(lacking)}."] if lacking else words


def _unfinished(found: SweepsTogether) -> list[str]:
    """Name the sweeps whose means may still change."""
    named = []
    for label, results in zip(found.scores.index, found.sweeps, strict=True):
        trials = results.of_phase("confirm")
        chosen = trials["arm"].isin(list(results.chosen))  # an arm without a choice has nothing to come
        if count := int((trials["status"].isin(OPEN) & (chosen | results.choices.is_open | _searching(results))).sum()):
            named.append(f"{label} ({count})")
    return [f"Confirmed trials still to come: {', '.join(named)}."] if named else []


def _searching(results: Results) -> bool:
    """Return whether search may still choose."""
    search = results.of_phase("search")
    return bool(search["status"].isin(OPEN).any()) and not results.limit


def _repeats(found: SweepsTogether) -> list[str]:
    """Name the sweeps of which only the first repeat is in the table."""
    several = zip(found.scores.index, found.sweeps, strict=True)
    named = [str(label) for label, results in several if len(repeats_of(results.path)) > 1]
    return [f"Of sweeps with repeats only the first repeat counts: {', '.join(named)}."] if named else []


def _tests(found: SweepsTogether) -> list[str]:
    ranks = found.ranks
    if ranks.note:
        return [f"No test, no critical difference: {ranks.note}."]
    friedman = (
        f"Friedman's test of whether all arms rank alike: p = {ranks.p:.3g} (chi-squared; conservative for few sweeps)"
    )
    if math.isinf(found.reach):
        return [f"{friedman}; it does not reject at 5 %, so no two arms are told apart."]
    nemenyi = (
        f"Post-hoc (Nemenyi's test): arms are told apart if their mean ranks differ by more than the critical "
        f"difference {ranks.critical:.2f} (all pairs together: 5 %)."
    )
    return [f"{friedman}.", nemenyi]


def _alike(found: SweepsTogether) -> list[str]:
    """Name sweeps that differ in neither data nor network: such a sample is not one of independent sweeps."""
    groups: dict[str, list[str]] = {}
    for label, results in zip(found.scores.index, found.sweeps, strict=True):
        groups.setdefault(repr(data_and_network(results)), []).append(str(label))
    same = [", ".join(group) for group in groups.values() if len(group) > 1]
    return [f"Same data and same network, so hardly independent: {'; '.join(same)}."] if same else []


def _wins(found: SweepsTogether) -> str:
    if found.wins is None:
        firsts = "; ".join(f"{arm} in {label}" for label, arm in found.first.items())
        return f"Wins, ties and losses are not counted, since the sweeps differ in their first arm: {firsts}."
    return (
        f"Win / tie / loss: in how many sweeps an arm was better than {next(iter(found.first.values()))}, unresolved, "
        f"or worse. These are each sweep's own verdicts over its seeds, not corrected for the number of sweeps."
    )
