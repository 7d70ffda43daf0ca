"""How long it takes to learn a training set by heart: epochs until every example that is looked at is right.

    python benchmarks/time_to_fit.py results/memorization_small_* --to results/published/memorization_small.md

prints for each results folder and arm, over the trials of confirm: how many reached a training accuracy of 1 after an
epoch (on at most 1,000 examples), after how many epochs, the training error of the weights kept on all training
examples, and the test accuracy. C. Zhang et al., "Understanding Deep Learning Requires Rethinking Generalization" (ICLR 2017),
figure 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from regtune.results.loader import load

HEAD = "| data | arm | trials that fit | epochs until then, mean (least to most) | training error % | test accuracy % |"


def rows(folder: Path) -> list[str]:
    """Return a line for each arm of a results folder."""
    results = load(folder)
    lines = []
    for arm in results.sweep.arms:
        trials = results.confirmed[results.confirmed["arm"] == arm]
        epochs = results.epochs[(results.epochs["phase"] == "confirm") & (results.epochs["arm"] == arm)]
        right = epochs[epochs["train_accuracy"] == 1.0]
        first = right.groupby("number")["epoch"].min()
        when = f"{first.mean():.1f} ({first.min()} to {first.max()})" if len(first) else "-"
        error, test = 100 * (1 - trials["train_accuracy"].mean()), 100 * trials["test_accuracy"]
        cells = [results.sweep.name, arm, f"{len(first)} of {len(trials)}", when, f"{error:.2f}"]
        cells.append(f"{test.mean():.1f} ({test.min():.1f} to {test.max():.1f})")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--to", type=Path)
    given = parser.parse_args()
    lines = [HEAD, "|---|---|---|---|---:|---|", *(line for folder in given.results for line in rows(folder))]
    print("\n".join(lines))
    if given.to is not None:
        given.to.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
