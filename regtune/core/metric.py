"""The metrics that configurations are chosen by and arms compared by: their names, which way is better, their units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Direction = Literal["higher", "lower"]
Name = Literal["accuracy", "balanced_accuracy", "macro_f1", "nll", "auroc"]  # in a sweep file


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure that is measured on a split.

    `column` stands behind the split in the names of `records.Outcome`: `test_loss`. `short` is its name in heads,
    `words` in a sentence, `long` where families of comparisons are named. A value times `factor` is what tables show,
    by `form`; differences are then in `unit`. `worst` is the score, of which more is better, of a trial that failed.
    """

    column: str
    better: Direction
    short: str
    words: str
    long: str
    unit: str
    factor: float
    form: str
    worst: float

    @property
    def val(self) -> str:
        """Its name on the validation split."""
        return f"val_{self.column}"

    @property
    def test(self) -> str:
        """Its name on the test split."""
        return f"test_{self.column}"

    @property
    def percent(self) -> str:
        """What stands behind a name whose values are shown in percent; else nothing."""
        return " %" if self.factor == 100 else ""

    def head(self, split: str) -> str:
        """Return the head of a column of its values: `test accuracy %`, `test NLL`."""
        return f"{split} {self.short}{self.percent}"

    def measured(self, split: str) -> str:
        """Return what a column of values on a split shows, which way is better unless it is accuracy: for captions."""
        unit = f"{split} {self.words} in {'percent' if self.percent else self.unit}"
        return unit if self.column == "accuracy" else f"{unit}, {self.better} is better,"

    @property
    def sign(self) -> str:
        """What is to be said of a difference where one above 0 is not the better; else nothing."""
        return ", below 0 is better" if self.better == "lower" else ""

    def score(self, value: float | None) -> float:
        """Return a value as a score of which more is better, as schedulers, samplers and pruners want it.

        None, a value that is not finite or not defined, is the worst, and nothing is worse than that.
        """
        if value is None or math.isnan(value):
            return self.worst
        return max(self.to_maximize(value), self.worst)

    def scores(self, values: Sequence[float | None]) -> list[float]:
        """Return many values as scores."""
        if self.better != "higher":
            return [self.score(value) for value in values]
        worst = self.worst
        return [worst if value is None or not value >= worst else value for value in values]

    def to_maximize(self, value: float) -> float:
        """Return a value, its sign turned where less is better, so that more is; turned twice it is as it was."""
        return value if self.better == "higher" else 0.0 - value

    def rough(self, value: float) -> str:
        """Return a value of a single trial as a reader wants it: `91.2`, or `0.412`."""
        return format(self.factor * value, ".1f" if self.percent else self.form)


def _share(column: str, *, words: str, short: str = "", long: str = "", better: Direction = "higher") -> Metric:
    """Return a metric from 0 to 1, shown in percent."""
    return Metric(
        column=column,
        better=better,
        short=short or words,
        words=words,
        long=long or words[0].upper() + words[1:],
        unit="points",
        factor=100,
        form=".2f",
        worst=0.0,
    )


ACCURACY = _share("accuracy", words="accuracy")
BALANCED_ACCURACY = _share("balanced_accuracy", words="balanced accuracy")
MACRO_F1 = _share("macro_f1", words="macro F1")
AUROC = _share("auroc", words="AUROC")
ECE = _share("ece", words="calibration error (ECE)", short="ECE", long="Calibration (ECE)", better="lower")
NLL = Metric(
    column="loss",
    better="lower",
    short="NLL",
    words="negative log-likelihood (NLL)",
    long="Likelihood (NLL)",
    unit="nats",
    factor=1,
    form=".3f",
    worst=-1e6,  # as many nats an example are as good as none; finite, since pruners and means calculate with it
)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "accuracy": ACCURACY,
        "balanced_accuracy": BALANCED_ACCURACY,
        "macro_f1": MACRO_F1,
        "nll": NLL,
        "auroc": AUROC,
    }
)
CLASSWISE = ("balanced_accuracy", "macro_f1", "auroc")  # means over classes, each of which must have examples
ASKED = tuple(METRICS[name].val for name in CLASSWISE)  # measured on validation examples where a trial asks for one
