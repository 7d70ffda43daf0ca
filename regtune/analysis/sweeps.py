"""Several sweeps together (data sets x networks): mean accuracies, ranks over sweeps, wins against the first arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from regtune.analysis.comparison import Analysis
from regtune.analysis.labels import labels
from regtune.core.errors import Refused
from regtune.results.loader import Results
from regtune.statistics.ranks import Ranks, ranks, win_tie_loss

LEVEL = 0.95
WINS = ("win", "tie", "loss")


@dataclass(frozen=True, kw_only=True)
class SweepsTogether:
    """Several sweeps side by side, each under a label that no other has.

    `scores` [sweep, arm] are means on test over the confirmed trials, in each sweep by the metric of its verdicts; NaN
    where an arm has none. `ranks` are over the arms that every sweep has planned, and the sweeps in which all of those
    have a score. `first` is the first arm of each sweep. `wins` [arm, (win, tie, loss)] counts the verdicts against it;
    None where the sweeps differ in it.
    """

    sweeps: tuple[Results, ...]
    scores: pd.DataFrame
    ranks: Ranks
    first: dict[str, str]
    wins: pd.DataFrame | None

    @property
    def reach(self) -> float:
        """Mean ranks that are farther apart than this are told apart; infinite where none are, NaN without a test.

        It is Nemenyi's critical difference, and none where Friedman's test, which comes first, does not reject.
        """
        return float("inf") if self.ranks.p > 1 - LEVEL else self.ranks.critical


def compare_sweeps(analyses: Sequence[Analysis]) -> SweepsTogether:
    """Put several sweeps side by side; raises Refused if one is given twice, which would count it twice."""
    sweeps = [analysis.results for analysis in analyses]
    seen: set[object] = set()
    for results in sweeps:
        if (path := results.path.resolve()) in seen:
            raise Refused(f"{results.path}: expected each results folder once, given it twice; leave one out")
        seen.add(path)
    named = dict(zip(labels(sweeps), sweeps, strict=True))
    arms = list(dict.fromkeys(arm for results in sweeps for arm in results.sweep.arms))
    scores = pd.DataFrame({label: _means(results) for label, results in named.items()}).T.reindex(columns=arms)
    metrics = {label: results.sweep.confirm.metric for label, results in named.items()}
    lower = [label for label, metric in metrics.items() if metric.better == "lower"]
    turned = scores.astype(float)
    turned.loc[lower] *= -1  # ranks are of scores of which more is better
    common = [arm for arm in arms if all(arm in results.sweep.arms for results in sweeps)]
    first = {label: results.sweep.baseline for label, results in named.items()}
    return SweepsTogether(
        sweeps=tuple(sweeps),
        scores=scores.astype(float),
        ranks=ranks(turned[common].astype(float), level=LEVEL),
        first=first,
        wins=_wins(analyses) if len(set(first.values())) == 1 else None,
    )


def frame(found: SweepsTogether) -> pd.DataFrame:
    """Return one row per arm: mean rank, wins, ties and losses, then each sweep's mean: `test_accuracy: <sweep>`."""
    arms = list(found.scores.columns)
    rows = pd.DataFrame({"arm": arms, "mean_rank": found.ranks.mean.reindex(arms).to_list()})
    wins = found.wins if found.wins is not None else pd.DataFrame(columns=list(WINS))
    rows = rows.join(wins.reindex(arms).astype("Int64").reset_index(drop=True))
    means = found.scores.T.rename(columns=mean_column_names(found)).reset_index(drop=True)
    return pd.concat([rows, means], axis="columns")


def mean_column_names(found: SweepsTogether) -> dict[str, str]:
    """Return by label what the column of a sweep's means is called."""
    pairs = zip(found.scores.index, found.sweeps, strict=True)
    return {str(label): f"{results.sweep.confirm.metric.test}: {label}" for label, results in pairs}


def _means(results: Results) -> pd.Series[float]:
    confirmed = results.confirmed
    return confirmed.groupby("arm")[results.sweep.confirm.metric.test].mean()


def _wins(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Count verdicts; where an arm shares no seed with the first there is none, and that is no tie."""
    compared = [{arm: each.comparison for arm, each in one.verdicts.items()} for one in analyses]
    return win_tie_loss({arm: one.verdict for arm, one in each.items() if one.n} for each in compared)
