"""How each arm compares with the first: over the seeds that both finished, and with the test set resampled too."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import pandas as pd

from regtune.analysis.families import family, search_variances
from regtune.core.metric import ACCURACY
from regtune.results.loader import Results
from regtune.results.race import ended_of
from regtune.statistics import Comparison, MeanInterval
from regtune.statistics.comparisons import negated
from regtune.statistics.crossed_bootstrap import crossed_intervals
from regtune.statistics.racing import Race

ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class ArmVerdict:
    """What is said of an arm beside the first one.

    `comparison` is over seeds, simultaneous over all arms; `crossed` is the difference over seeds and test examples
    at the confidence of the simultaneous intervals. It is None where the log does not say of all these seeds which
    examples were right, of other metrics than accuracy, and in a race, whose looks it does not know of.
    """

    comparison: Comparison
    crossed: MeanInterval | None


def verdicts(results: Results) -> dict[str, ArmVerdict]:
    """Return for each other arm what is said of it beside the first."""
    baseline, *others = results.sweep.arms
    told = results.sweep.confirm.metric == ACCURACY and not Race.of(results.sweep.confirm)
    crossed = _crossed(results, baseline, others) if told else {}
    return {
        arm: ArmVerdict(
            comparison=found, crossed=second if (second := crossed.get(arm)) and second.n == found.n else None
        )
        for arm, found in against_baseline(results).items()
    }


def against_baseline(results: Results, *, least: float | None = None) -> dict[str, Comparison]:
    """Return for each other arm its comparison with the first: all at once after equal seeds, or that of a race.

    `least` is that of `families.family`.
    """
    race, metric = Race.of(results.sweep.confirm), results.sweep.confirm.metric
    equal = family(results, metric, least=least)
    raced = (
        race.compare(_ended(results), search_variances(results, metric.test, corrected=False))
        if race is not None
        else {}
    )
    if metric.better == "lower":
        raced = {arm: negated(found) for arm, found in raced.items()}
    return equal | {arm: found for arm, found in raced.items() if arm not in results.off}


def futile_arms(results: Results) -> list[str]:
    """Return the arms that a race over searches has given up, since no number of seeds would resolve them."""
    race, over = (
        Race.of(results.sweep.confirm),
        search_variances(results, results.sweep.confirm.metric.test, corrected=False),
    )
    return race.held(_ended(results), over) if race is not None and not results.rivals_open else []


def _ended(results: Results) -> dict[str, dict[int, float | None] | None]:
    metric = results.sweep.confirm.metric
    trials = results.trials[["arm", "phase", "number", "status", metric.test]]
    confirm = trials[trials["phase"] == "confirm"]
    rows = [{str(name): value for name, value in row.items()} for row in confirm.to_dict("records")]
    return ended_of(rows, list(results.sweep.arms), results.chosen, metric)


def _crossed(results: Results, baseline: str, others: list[str]) -> dict[str, MeanInterval]:
    """Return the differences over seeds and test examples, for arms of whose examples the log tells."""
    base, found = results.right_answers[baseline], dict[str, MeanInterval]()
    by_seeds: dict[tuple[Hashable, ...], dict[str, pd.DataFrame]] = {}
    for arm in others:
        mine = results.right_answers[arm]
        if both := tuple(seed for seed in base if seed in mine):
            by_seeds.setdefault(both, {})[arm] = mine
    for both, arms in by_seeds.items():  # arms with the same seeds share their draws
        shared = base[[*both]].to_numpy().T
        pairs = [(mine[[*both]].to_numpy().T, shared) for mine in arms.values()]
        found |= zip(arms, crossed_intervals(pairs, level=1 - ALPHA / len(others)), strict=True)
    return found
