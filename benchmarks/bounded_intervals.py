"""How often an interval of a mean accuracy holds it near 100 %: the t-interval cut at 0 and 100, or by the logit.

    python benchmarks/bounded_intervals.py

Accuracies of seeds are Beta distributed around a mean, and each is then the share of right answers among test examples.
Prints the coverage of 95 % intervals, their mean width in points, and how many draws had all seeds equal, which have
no interval; these are left out. The seed of the simulation is fixed.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import stats

DRAWS = 20_000
MEANS = (0.5, 0.9, 0.97, 0.99, 0.995)
SPREADS = (0.25, 1.0)  # standard deviation of a seed's true accuracy over how far the mean is from 1
SEEDS = (3, 5, 15)
EXAMPLES = 200

Array = NDArray[np.float64]


def drawn(mean: float, spread: float, seeds: int) -> Array:
    """Return accuracies [draws, seeds]."""
    draws = np.random.default_rng(0)
    sd = spread * (1 - mean) * (0.5 if mean == 0.5 else 1.0)
    total = mean * (1 - mean) / sd**2 - 1  # of the two parameters of the Beta distribution
    true = draws.beta(mean * total, (1 - mean) * total, (DRAWS, seeds))
    return draws.binomial(EXAMPLES, true) / EXAMPLES


def cut(mean: Array, half: Array) -> tuple[Array, Array]:
    """Return the ends of the t-intervals, cut at 0 and 1."""
    return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)


def by_logit(mean: Array, half: Array) -> tuple[Array, Array]:
    """Return the ends of intervals that are t-intervals on the logit scale, by the delta method."""
    inside = np.clip(mean, 1e-12, 1 - 1e-12)
    centre, reach = np.log(inside / (1 - inside)), half / (inside * (1 - inside))
    return 1 / (1 + np.exp(reach - centre)), 1 / (1 + np.exp(-reach - centre))


def main() -> None:
    """Print a line per mean, spread and number of seeds."""
    print("mean   spread  seeds   t cut: covers, width   logit: covers, width   beyond 100 uncut   all equal")
    for mean, spread, seeds in product(MEANS, SPREADS, SEEDS):
        values = drawn(mean, spread, seeds)
        values = values[np.ptp(values, axis=1) > 0]
        centre = values.mean(1)
        half = stats.sem(values, axis=1) * stats.t.ppf(0.975, seeds - 1)
        told = []
        for low, high in (cut(centre, half), by_logit(centre, half)):
            covers = ((low <= mean) & (mean <= high)).mean()
            told.append(f"{100 * covers:12.1f} % {100 * (high - low).mean():7.2f}")
        beyond, equal = (centre + half > 1).mean(), 1 - len(values) / DRAWS
        print(f"{mean:5.3f} {spread:6.2f} {seeds:6d} {''.join(told)} {100 * beyond:14.1f} % {100 * equal:12.1f} %")


if __name__ == "__main__":
    main()
