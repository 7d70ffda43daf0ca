"""The tuning table and its words: what the curves show, what their bands mean."""

from __future__ import annotations

import math

import pandas as pd

from regtune.analysis.columns import Row
from regtune.analysis.tuning import NON_ADAPTIVE, independent, search_shares, tuning_budgets
from regtune.core.metric import Metric
from regtune.core.selection import named_first
from regtune.reports.tables._table import Table
from regtune.reports.text import interval
from regtune.results.loader import Results
from regtune.statistics.tuning import MOST_SIMULATED

CAPTION = (
    "What search finds with how many trials, for comparing budgets. The best of many search scores is too good; what a "
    "choice is worth is measured in confirm. Shown: {score} of the best of n search trials, as the median over which n "
    "trials these are. Trials: those of the arm that ended. One that failed or diverged counts as {worst}, since it "
    "spends budget too; one lost to a machine does not count."
)
BAND = (
    "In brackets: the 95 % band of N. Lourie, K. Cho and H. He (2024). It is distribution-free, and simultaneous over "
    "all n for each arm by itself, not over arms. An end of {ends}: so few trials give no bound on that side."
)
SOBOL = (
    "Sobol points spread more evenly than the independent draws that the band assumes. In practice the band is then "
    "wider than needed, but this is not guaranteed."
)
MEANS = {
    "random": "",
    "qmc": SOBOL,
    "paired": SOBOL,
    "grid": "The band assumes independent draws from the points of the grid. They were taken in random order, none "
    "twice in a pass, which spreads more evenly. In practice the band is then wider than needed, but this is not "
    "guaranteed.",
}  # by sampler of `tuning.NON_ADAPTIVE`: what is to be said of a band
UNKNOWN = "No band: the log does not say by which sampler trials were drawn."
ADAPTIVE = (
    "No band: it needs independent draws, which trials of the sampler {sampler} are not known to be. The curve "
    "describes this search only."
)
PRUNED = (
    "No band, since trials were pruned by their score: {arms}. A pruned trial counts with its last score. The curve "
    "describes this search only."
)
NAMED = "Points named in the sweep file (first) are not draws and are left out: {arms}."
MANY = f"For more than {MOST_SIMULATED} trials the band is that of Kolmogorov and Smirnov."


def tuning_table(results: Results, rows: pd.DataFrame) -> Table | None:
    """Return the table of a frame that has the columns of `tuning`; None where no search trial ended well."""
    places = tuning_budgets(results)
    if not places:
        return None
    metric = results.sweep.search.metric
    cells = {f"n = {n}": [_cell(row, n, metric) for row in rows.to_dict("records")] for n in places}
    return Table(
        title="Tuning curves",
        caption=tuning_caption(results),
        frame=pd.DataFrame({"arm": rows["arm"], "trials": rows["tuning_trials"], **cells}),
    )


def tuning_caption(results: Results) -> str:
    """Say what the curves show, and what their bands mean or why there are none."""
    metric = results.sweep.search.metric
    caption = CAPTION.format(score=metric.measured("validation"), worst="0 %" if metric.percent else "the worst")
    counts = [f"{arm} {count}" for arm, count in named_first(results.sweep).items() if count]
    named = NAMED.format(arms=", ".join(counts)) if counts else ""
    return " ".join(filter(None, (caption, named, band_words(results))))


def band_words(results: Results) -> str:
    """Say what the bands mean, and which curves have none for which reason."""
    sampler = results.sweep.search.sampler
    if sampler is None:
        return UNKNOWN
    if sampler not in NON_ADAPTIVE:
        return ADAPTIVE.format(sampler=sampler)
    counts = {arm: len(scores) for arm, scores in search_shares(results).items() if scores}
    without = [arm for arm in counts if not independent(results, arm)]
    pruned = PRUNED.format(arms=", ".join(without)) if without else ""
    if len(without) == len(counts):
        return pruned
    many = MANY if max(counts.values()) > MOST_SIMULATED else ""
    band = BAND.format(ends="0 or 100" if results.sweep.search.metric.percent else "0 or inf")
    return " ".join(filter(None, (band, MEANS[sampler], many, pruned)))


def _cell(row: Row, n: int, metric: Metric) -> str:
    best, low, high = row[f"best_of_{n}"], row[f"best_of_{n}_low"], row[f"best_of_{n}_high"]
    if math.isnan(low):
        return "–" if math.isnan(best) else metric.rough(best)
    return interval(best, low, high, form=".1f" if metric.percent else metric.form, factor=metric.factor)
