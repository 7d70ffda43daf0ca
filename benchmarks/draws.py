"""How well resampled searches tell how far a search's choices spread: made-up response curves, whose truth is known.

    python benchmarks/draws.py [--searches 60]

Two arms share a learning rate u and each has a strength v, both in [0, 1]; the accuracy of a configuration is
top - c (u - u0)^2 - d (v - v0)^2, and one seed sees it with noise. Each search has scrambled Sobol points of its own,
select and the rule of choice are the product's. "true" is the standard deviation over searches of the chosen
configurations' true difference, "all" and "near" the root of the mean variance that draws from all trials and draws
among neighbours give, in points of accuracy.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats.qmc import Sobol

from regtune.core.halving import Score, Selection, join_number
from regtune.core.neighbours import neighbours
from regtune.core.resampling import draws, pairs
from regtune.core.selection import Scored, choose

SEEDS, EXAMPLES = 5, 397


class Curve(NamedTuple):
    """How steep both knobs are, and the best learning rate of the first arm and of the second."""

    c: float
    d: float
    base: float
    arm: float


CURVES = {
    "inside": Curve(0.4, 0.05, 0.5, 0.6),
    "at an end": Curve(0.4, 0.05, 0.0, 0.2),
    "steep, at an end": Curve(1.5, 0.2, 0.0, 0.3),
    "flat": Curve(0.03, 0.02, 0.5, 0.5),
    "no strength": Curve(0.4, 0.0, 0.3, 0.6),
}


def searched(curve: Curve, trials: int, noise: float, seed: int) -> tuple[float, float, float]:
    """Return of one search the true difference of its choices and the variances by both kinds of draws."""
    generator = np.random.default_rng(seed)
    points = Sobol(3, scramble=True, rng=seed).random(trials)
    optimum = {"base": (curve.base, 0.0, 0.85), "arm": (curve.arm, curve.d, 0.86)}
    truth = {
        name: top - curve.c * (points[:, 0] - u) ** 2 - d * (points[:, 1] - 0.5) ** 2
        for name, (u, d, top) in optimum.items()
    }
    shared, later = generator.normal(0, noise, trials), generator.normal(0, noise, SEEDS)

    def seen(accuracy: float, common: float) -> Score:
        noisy = accuracy + 0.5 * common + generator.normal(0, noise)
        return Score(round(noisy * EXAMPLES) / EXAMPLES, 1.0)

    first, selected = {}, {}
    for name, true in truth.items():
        scores = [(k, seen(true[k], shared[k])) for k in range(trials)]
        first[name] = sorted(scores, key=lambda each: -(each[1].value or 0.0))
        selected[name] = {join_number(k, s): seen(true[k], later[s]) for k in range(trials) for s in range(SEEDS)}
    terms = Selection(candidates=4, most=8, seeds=SEEDS, examples=EXAMPLES)
    scored = Scored(searched=first, selected=selected, selection=terms, can_be_off=[])
    near = replace(scored, near=neighbours({k: {"learning_rate": float(points[k, 0])} for k in range(trials)}))
    numbers = choose(scored).numbers
    gain = float(truth["arm"][numbers["arm"]] - truth["base"][numbers["base"]])
    return gain, variance(scored, truth, seed), variance(near, truth, seed)


def variance(scored: Scored, truth: dict[str, np.ndarray], seed: int) -> float:
    """Return the variance of the true difference over the choices of resampled searches."""
    found = pairs(draws(scored, paired=True, stream=str(seed)), "arm", "base")
    gains = np.array([truth["arm"][pair[0]] - truth["base"][pair[1]] for pair in found if pair])
    shares = np.array([count for pair, count in found.items() if pair]) / sum(n for pair, n in found.items() if pair)
    return float(shares @ (gains - shares @ gains) ** 2)


def main() -> None:
    """Print a row for each curve, number of trials and noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=60)
    given = parser.parse_args()
    rows = []
    for name, curve in CURVES.items():
        for trials in (8, 16, 32):  # Sobol points are balanced in powers of two
            for noise in (0.005, 0.015):
                found = np.array([searched(curve, trials, noise, seed) for seed in range(given.searches)])
                true, (every, near) = found[:, 0].std(ddof=1), (math.sqrt(v) for v in found[:, 1:].mean(0))
                rows.append(
                    {
                        "curve": name,
                        "trials": trials,
                        "noise": 100 * noise,
                        "true": 100 * true,
                        "all": 100 * every,
                        "near": 100 * near,
                        "near / true": near / true,
                    }
                )
    print(pd.DataFrame(rows).to_markdown(index=False, floatfmt=".2f"))


if __name__ == "__main__":
    main()
