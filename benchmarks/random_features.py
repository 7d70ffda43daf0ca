"""Double descent with random features on MNIST: test error and norm of the fit of smallest norm, by number of features.

    REGTUNE_DATA=... python benchmarks/random_features.py --to results/published/random_features_mnist.md

The random Fourier features of the network `random_features`, weights by least squares: those of smallest norm, to which
SGD from 0 goes (see `regtune study min-norm-interpolation`), and with L2. Errors are those on 10,000 examples that were
not trained on. M. Belkin et al. (PNAS 2019) have 10,000 training examples and the peak at 10,000 features.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from regtune.studies._trained import trial_of
from regtune.studies.double_descent import RIDGE, fitted
from regtune.training.build import load_data
from regtune.training.process import prepare_process

SIGMA = 16.0  # 5 for pixels in [0, 1], as in the paper
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 4.0, 8.0)  # features for an example


def main() -> None:
    """Print the table of each share of wrong labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--to", type=Path)
    given = parser.parse_args()
    prepare_process(given.threads)
    lines = [
        f"Random Fourier features on {given.examples:,} digits of MNIST, sigma = {SIGMA:g} for normalized pixels; "
        f"means (and standard deviations) of {given.seeds} draws of features and wrong labels; L2 of {RIDGE:g}.",
    ]
    for noise in (0.0, 0.1):
        lines += ["", f"{100 * noise:g} % of the training labels resampled:", ""]
        lines += ["| features N | error % | norm of the weights | error % with L2 |", "|---:|---:|---:|---:|"]
        for share in SHARES:
            count, found = round(share * given.examples), []
            for seed in range(given.seeds):
                settings = {"train": given.examples, "validation": 10_000, "label_noise": noise, "split_seed": seed}
                data = load_data(trial_of(data={"name": "mnist"} | settings))
                found.append(fitted(data, count, seed, sigma=SIGMA))
            runs = torch.tensor(found, dtype=torch.float64)
            mean, spread = runs.mean(0).tolist(), runs.std(0).tolist()
            cells = [f"{100 * mean[0]:.2f} ({100 * spread[0]:.2f})", f"{mean[1]:.3g}"]
            cells.append(f"{100 * mean[2]:.2f} ({100 * spread[2]:.2f})")
            lines.append(f"| {count:,} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    if given.to is not None:
        given.to.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
