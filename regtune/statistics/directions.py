"""Comparisons with the first arm by a score of which more is better, or less: one test for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from regtune.core.metric import Direction
from regtune.statistics.comparisons import Comparison, compare
from regtune.statistics.paired import Scores, against


def compare_with(
    scores: Scores,
    baseline: str,
    *,
    better: Direction,
    level: float = 0.95,
    beyond: Mapping[str, float] | None = None,
) -> dict[str, Comparison]:
    """Compare each other arm with the baseline over the seeds that both have, all arms one family at `level`.

    Everything is as `comparisons.compare` has it. Differences are arm - baseline in the unit of the score either way:
    where less is better, an arm is "better" if its interval lies below 0. `Comparison.better` is the share of seeds
    on which the arm was better. `beyond` is as in `comparisons.compare`, by arm.
    """
    differences = against(scores, baseline)
    if better == "higher":
        return compare(differences, level=level, beyond=beyond)
    gains = {arm: [-value for value in values] for arm, values in differences.items()}
    return {arm: turned(found) for arm, found in compare(gains, level=level, beyond=beyond).items()}


def turned(gain: Comparison) -> Comparison:
    """Return what is said of a gain as it is said of the difference, which is minus the gain."""
    # 0 - x and not -x: an end cut at 0 must not become -0, which prints with a sign.
    return replace(gain, mean=0.0 - gain.mean, low=0.0 - gain.high, high=0.0 - gain.low)
