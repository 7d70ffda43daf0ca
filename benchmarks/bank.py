"""How often does a copy of the baseline get a verdict? Whole sweeps drawn from a bank of trainings, none trained again.

    python benchmarks/bank.py BANK.npz [--sweeps 1000] [--copies 5] [--trials 24] [--confirm 20] [--sampler paired]

BANK.npz has of one arm `configs` (JSON: a list of knobs by name), and `val_accuracy`, `val_loss` and `test_accuracy`
[configurations, seeds], NaN where a trial diverged. Each sweep tries `--trials` of the configurations, drawn without
replacement, those of all arms alike where the sampler is "paired"; every score is that of a seed of the bank drawn
anew, for each arm by itself. So the arms are the same by construction, their luck is not, and any verdict is false. The
rule of choice, the resampled searches, their variance and the verdicts are the product's; no arm can be off.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regtune.core.halving import Score, Selection, join_number
from regtune.core.metric import METRICS
from regtune.core.neighbours import neighbours
from regtune.core.resampling import SEEDS, draws, pairs, rivals
from regtune.core.selection import Scored, choose, rank, score_of
from regtune.statistics.comparisons import Comparison, compare
from regtune.statistics.search_variance import at_least, mean_known, search_variance

SELECT, EXAMPLES = 5, 397
RATE = "optimizer.learning_rate"
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Bank:
    """What every configuration scored on every seed, [configurations, seeds], and its learning rate."""

    rates: list[float]
    accuracy: Floats
    loss: Floats
    test: Floats

    @classmethod
    def read(cls, file: Path) -> Bank:
        """Read a bank that numpy has written."""
        with np.load(file) as arrays:
            rates = [float(config[RATE]) for config in json.loads(str(arrays["configs"]))]
            return cls(
                rates=rates,
                accuracy=arrays["val_accuracy"],
                loss=arrays["val_loss"],
                test=arrays["test_accuracy"],
            )

    def score(self, configuration: int, seed: int) -> Score:
        """Return what select sees of a configuration on a seed."""
        accuracy, loss = float(self.accuracy[configuration, seed]), float(self.loss[configuration, seed])
        status = "diverged" if math.isnan(accuracy) else "ok"
        return score_of(status, {"val_accuracy": accuracy, "val_loss": loss}, METRICS["accuracy"])


def sweep(
    bank: Bank, *, copies: int, trials: int, confirm: int, paired: bool, generator: np.random.Generator
) -> dict[str, Comparison]:
    """Return the comparison of each copy with the baseline in one sweep."""
    configurations, seeds = bank.accuracy.shape
    arms = ["baseline", *(f"copy_{k}" for k in range(copies))]
    shared = generator.permutation(configurations)[:trials].tolist()
    tried = {arm: shared if paired else generator.permutation(configurations)[:trials].tolist() for arm in arms}
    drawn = {arm: generator.integers(seeds, size=SELECT + confirm).tolist() for arm in arms}
    searched, selected = {}, {}
    for arm in arms:
        once = [(n, c, int(generator.integers(seeds))) for n, c in enumerate(tried[arm])]
        scores = [(n, bank.score(c, seed)) for n, c, seed in once if not math.isnan(bank.accuracy[c, seed])]
        searched[arm] = sorted(scores, key=lambda each: rank(each[1].value or 0.0, each[1].loss, each[0]))
        selected[arm] = {
            join_number(n, k): bank.score(c, drawn[arm][k]) for n, c in enumerate(tried[arm]) for k in range(SELECT)
        }
    scored = Scored(
        searched=searched,
        selected=selected,
        selection=Selection(candidates=4, most=8, seeds=SELECT, examples=EXAMPLES),
        can_be_off=[],
        near=neighbours({n: {RATE: bank.rates[c]} for n, c in enumerate(shared)}) if paired else {},
    )
    chosen, found = choose(scored), draws(scored, paired=paired, stream=str(generator.integers(2**32)))

    def tests(arm: str, number: int) -> Floats:
        scores: Floats = bank.test[tried[arm][number], drawn[arm][SELECT:]]
        return scores

    known = {arm: {chosen.numbers[arm], *numbers} for arm, numbers in rivals(found, chosen).items()}
    differences, beyond = {}, {}
    for arm in arms[1:]:
        counts = {
            pair: count
            for pair, count in pairs(found, arm, "baseline").items()
            if pair and pair[0] in known[arm] and pair[1] in known["baseline"]
        }
        rows = np.array([(tests(arm, mine) - tests("baseline", base))[:SEEDS] for mine, base in counts])
        beyond[arm] = search_variance(list(counts.values()), rows[:, ~np.isnan(rows).any(axis=0)].tolist())
        found_here = tests(arm, chosen.numbers[arm]) - tests("baseline", chosen.numbers["baseline"])
        differences[arm] = found_here[~np.isnan(found_here)].tolist()
    return compare(differences, beyond=at_least(beyond, mean_known(beyond.values())))


def main() -> None:
    """Draw the sweeps and print how many have a false verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--sweeps", type=int, default=1000)
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--confirm", type=int, default=20)
    parser.add_argument("--sampler", choices=["paired", "random"], default="paired")
    given = parser.parse_args()
    bank, generator = Bank.read(given.bank), np.random.default_rng(0)
    results = [
        sweep(
            bank,
            copies=given.copies,
            trials=given.trials,
            confirm=given.confirm,
            paired=given.sampler == "paired",
            generator=generator,
        )
        for _ in range(given.sweeps)
    ]
    cells = [each for result in results for each in result.values()]
    known = [each for each in cells if not each.note]
    false = sum(any(each.verdict != "unresolved" for each in result.values()) for result in results)
    print(
        f"{given.bank.name}, {given.sampler}, {given.copies} copies: any false verdict in {false} of {given.sweeps} "
        f"sweeps ({100 * false / given.sweeps:.1f} %), {sum(each.verdict != 'unresolved' for each in cells)} of "
        f"{len(cells)} cells, {len(cells) - len(known)} of which got no interval; mean half-width "
        f"{100 * np.mean([(each.high - each.low) / 2 for each in known]):.2f} points, sd of the difference "
        f"{100 * np.std([each.mean for each in known]):.2f}"
    )


if __name__ == "__main__":
    main()
