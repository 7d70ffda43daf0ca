"""The rule of choice among the best few: trained again on further seeds that all arms share, chosen by the mean.

Search gives every configuration one noisy score, and the best of many of those flatters: its configuration is as
likely to have been lucky as good. So the best few are compared by successive halving over seeds (K. Jamieson,
A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", 2016). Where an arm can be off,
the baseline's choice is a candidate too, by the one-standard-error rule (L. Breiman et al., "Classification and
Regression Trees", 1984).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from regtune.core.header import SweepRecord
from regtune.core.metric import ACCURACY

ROUNDING = 1e-12  # of sums and differences of scores; accuracies differ by one example otherwise
STRIDE = 100  # places in select that belong to one search trial: more than it has seeds


class Score(NamedTuple):
    """What a trial is chosen by, of which more is better (`metric.Metric.score`), and its validation loss.

    Both at the epoch kept; None where a fault of the machine left none.
    """

    value: float | None
    loss: float | None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The terms of select: the best `candidates` of an arm, and all within two standard errors of its best up to
    `most`, are trained on up to `seeds` further seeds. `examples` is the size of the validation split where it is
    known and scores are accuracies on it: of other metrics one trial tells no standard error, and there is none.
    """

    candidates: int
    most: int
    seeds: int
    examples: int | None

    @classmethod
    def of(cls, sweep: SweepRecord) -> Selection | None:
        """Return the selection of a sweep ; None for none."""
        if sweep.select is None:
            return None
        examples = sweep.template["data"].get("validation")
        counted = isinstance(examples, int) and sweep.search.metric == ACCURACY
        return cls(**vars(sweep.select), examples=examples if counted else None)

    def finalists(self, searched: Sequence[tuple[int, Score]]) -> list[int]:
        """Return the numbers of the search trials that continue, given all in the order of `rank`.

        The standard error is that of the best accuracy over its validation examples.
        """
        if not searched:
            return []
        best = searched[0][1].value or 0.0
        width = 2 * math.sqrt(best * (1 - best) / self.examples) if self.examples else 0.0
        close = [score.value is not None and best - score.value <= width + ROUNDING for _, score in searched]
        count = max(self.candidates, close.index(False) if False in close else len(close))
        return [number for number, _ in searched[: min(count, max(self.most, self.candidates))]]

    def rounds(self, finalists: int) -> list[tuple[int, int]]:
        """Return of each round how many finalists are in it and how many seeds each of them has at its end."""
        count = max(1, math.floor(math.log2(max(finalists, 1))))
        found, left = [], finalists
        for k in range(count):
            found.append((left, math.ceil(self.seeds * (k + 1) / count)))
            left = math.ceil(left / 2)
        return found

    @property
    def trials(self) -> int:
        """How many trials an arm takes at most: with more finalists there may be more rounds, which cost less."""
        return max(self._trials(finalists) for finalists in range(1, self.most + 1))

    def _trials(self, finalists: int) -> int:
        total, before = 0, 0
        for count, seeds in self.rounds(finalists):
            total, before = total + count * (seeds - before), seeds
        return total


class Picked(NamedTuple):
    """What select needs of an arm, (search trial, seed) in the order in which it asks, and whom it picks so far."""

    needed: list[tuple[int, int]]
    number: int | None


def pick(finalists: Sequence[int], scores: Mapping[int, Score], selection: Selection) -> Picked:
    """Return what the rule asks for after these scores, by `join_number`, and the search trial chosen, None before.

    In each round all that are left get as many seeds as the others, then the better half continues, by mean score,
    then mean loss, then the order of search. A trial that failed or diverged counts as the worst, accuracy 0.
    """
    left, needed = list(finalists), dict[tuple[int, int], None]()
    for _, seeds in selection.rounds(len(finalists)) if finalists else []:
        asked = [(number, seed) for seed in range(seeds) for number in left]
        needed |= dict.fromkeys(asked)
        if any(join_number(*each) not in scores for each in asked):
            return Picked(list(needed), None)
        order = {number: k for k, number in enumerate(finalists)}
        means = {number: _mean([scores[join_number(number, seed)] for seed in range(seeds)]) for number in left}
        left = sorted(left, key=lambda number: (*means[number], order[number]))[: math.ceil(len(left) / 2)]
    return Picked(list(needed), left[0] if left else None)


def off_is_as_good(own: Sequence[Score], baseline: Sequence[Score]) -> bool:
    """Return whether a method is left off, by scores of its choice and of the baseline's on the same seeds.

    It is where the baseline is better by more than one standard error of the paired differences.
    """
    pairs = [(b.value, a.value) for a, b in zip(own, baseline, strict=True)]
    gains = [b - a for b, a in pairs if a is not None and b is not None]
    if len(gains) < 2:
        return False
    mean = sum(gains) / len(gains)
    variance = sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1)
    return mean > math.sqrt(variance / len(gains))


def join_number(number: int, seed: int) -> int:
    """Return the number in select of a search trial on a further seed."""
    return number * STRIDE + seed


def split_number(number: int) -> tuple[int, int]:
    """Return search trial and seed of a number in select."""
    return divmod(number, STRIDE)


def _mean(scores: Sequence[Score]) -> tuple[float, float]:
    """Return what sorts the best first: mean score, its sign turned, then mean loss."""
    known = [score for score in scores if score.value is not None]
    if not known:
        return math.inf, math.inf
    losses = [math.inf if score.loss is None or math.isnan(score.loss) else score.loss for score in known]
    # Rounded: the order in which equal scores are added up must not decide before the loss does.
    mean = round(sum(score.value or 0.0 for score in known) / len(known), 12)
    return -mean, sum(losses) / len(losses)
