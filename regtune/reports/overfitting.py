"""Whether the baseline leaves regularizers anything to do: one sentence where it hardly overfits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import pandas as pd

from regtune.results.loader import Results
from regtune.statistics import FEWEST, mean_interval

CLOSE = 0.25  # of the errors on validation examples
PARTS = 10  # the curves are compared over the last two of so many parts of training
PACE = 0.1  # of accuracy, in as many epochs as training has: a point in a tenth of them


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One trial: accuracies after each epoch, as fractions, and those at the epoch that it kept."""

    train: Sequence[float]
    validation: Sequence[float]
    kept_train: float
    kept_validation: float


def hardly_overfits(repeats: Sequence[Results]) -> str:
    """Return why regularizers can show little beside this baseline; empty where that cannot be said.

    It is decided by the recorded epochs of the first arm's confirmed trials in all repeats, in the first training of
    each; from fewer than 3 trials nothing is said. These are rules of thumb, no tests, and no verdict hangs on them.

    *It hardly overfits* where, at the kept epoch, accuracy on training examples is above that on validation
    examples by at most a quarter of the errors on the latter (`CLOSE`). A regularizer trades fit for a smaller gap,
    and the gap is the most that it can win: three quarters of the errors are made on training examples too, and
    methods that close half of a gap would take away an eighth of all errors here. It is a share since a gap of one
    point is all there is where 1 % of examples are wrong, and nothing where half of them are. With noisy labels
    (`label_noise`, a share p redrawn) a network that learns none of them by heart is right on about 1 - p times as
    many training examples as validation examples, and the gap counts from there.

    *It is still learning* where both curves rise at the end, from the last tenth of the epochs but one to the last (of
    fewer than 20 from the last epoch but one to the last): accuracy on training examples faster than by one point in a
    tenth of training (`PACE`), on validation examples at least half as fast and by more than two standard errors over
    the trials. At that pace half as many epochs again would add five points, which is more than most regularizers do,
    while a rise on training examples alone is overfitting. A tenth, since learning rates that fall to 0 let both
    curves rise before, and hardly there.
    """
    curves = [curve for results in repeats for curve in _curves(results)]
    if len(curves) < FEWEST:
        return ""
    why = [*_close(curves, _label_noise(repeats[0])), *_rising(curves)]
    baseline = repeats[0].sweep.baseline
    return f"Regularizers can gain little here: {baseline} {', and '.join(why)}." if why else ""


def _label_noise(results: Results) -> float:
    template = results.sweep.template
    return float(template["data"].get("label_noise", 0.0))


def _close(curves: Sequence[Curve], label_noise: float) -> list[str]:
    train, validation = fmean(c.kept_train for c in curves), fmean(c.kept_validation for c in curves)
    if not train - (1 - label_noise) * validation <= CLOSE * (1 - validation):
        return []
    right = f"{100 * train:.1f} % of training and {100 * validation:.1f} % of validation examples right"
    return [f"hardly overfits, with {right}"]


def _rising(curves: Sequence[Curve]) -> list[str]:
    epochs = min(len(curve.train) for curve in curves)
    if epochs < 2:
        return []
    part = max(1, epochs // PARTS)
    train, validation = (mean_interval([_rise(each, part) for each in of]) for of in _both(curves))
    error = validation.sd / len(curves) ** 0.5
    if not (train.mean > PACE * part / epochs and validation.mean >= train.mean / 2 and validation.mean > 2 * error):
        return []
    return [
        f"is still learning when training ends: accuracy rose by {100 * train.mean:.1f} points on training and "
        f"{100 * validation.mean:.1f} on validation examples in the last {part} of {epochs} epochs"
    ]


def _both(curves: Sequence[Curve]) -> tuple[list[Sequence[float]], list[Sequence[float]]]:
    return [curve.train for curve in curves], [curve.validation for curve in curves]


def _rise(scores: Sequence[float], part: int) -> float:
    """Return by how much the mean of the last `part` epochs is above that of as many before them."""
    return fmean(scores[-part:]) - fmean(scores[-2 * part : -part])


def _curves(results: Results) -> list[Curve]:
    """Return the curves of the first arm's confirmed trials that ended well; older logs have no stages."""
    trials, epochs = results.trials, results.epochs
    baseline = results.sweep.baseline
    mine = trials[(trials["arm"] == baseline) & (trials["phase"] == "confirm") & (trials["status"] == "ok")]
    if epochs.empty:
        return []
    rows = epochs[(epochs["arm"] == baseline) & (epochs["phase"] == "confirm")]
    rows = rows[rows["number"].isin(mine["number"])]
    if "stage" in rows:
        rows = rows[rows["stage"].fillna("train") == "train"]
    return [_curve(trial) for _, trial in rows.groupby("number")]


def _curve(trial: pd.DataFrame) -> Curve:
    kept = trial[trial["epoch"] == trial["kept"].iloc[-1]].iloc[0]
    return Curve(
        train=trial["train_accuracy"].to_list(),
        validation=trial["val_accuracy"].to_list(),
        kept_train=float(kept["train_accuracy"]),
        kept_validation=float(kept["val_accuracy"]),
    )
