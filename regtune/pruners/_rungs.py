"""What scores at a rung say of final ones: within one arm, over the trials that passed the rung and ended.

Where training overfits, the best at a rung may be the worst at the end: a rung is of use only where an arm's own
trials say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regtune.core.records import Epoch

ENDED = 8  # trials that must have ended before their ranks say something
RANKED = 0.5  # Spearman's correlation from which a rung is used
EXACT = 200  # ended trials up to which each further one counts at once
GROWTH = 1.05  # of those beyond, a share that changes ranks by less than chance does
ERRORS = 2  # standard errors below the cut within which a trial continues
_CHANCE = 1.645  # standard deviations that one arm in twenty exceeds by chance


@dataclass(frozen=True, kw_only=True)
class Rung:
    """How a rung of an arm ranks its trials: `correlation` is Spearman's between scores there and final ones, over `n`.

    `spread` is the standard deviation of a score at the rung around a straight line in the final score, in units of
    the score. It has what a seed, the batches and the epochs to come do to one trial between the rung and the end.
    Where trials were pruned at the rung, those left are more alike there: both are then a little low.
    Both are NaN for fewer than three trials, or where all score alike.
    """

    n: int
    correlation: float
    spread: float

    @property
    def used(self) -> bool:
        """Whether enough trials have ended, and rank alike at the rung and at the end."""
        return self.n >= ENDED and self.correlation >= RANKED

    @property
    def words(self) -> str:
        """Say how it ranks."""
        if math.isnan(self.correlation):
            return f"cannot rank, all scores are alike ({self.n} trials)"
        # Spearman's correlation has the standard deviation 1 / sqrt(n - 1) where nothing but chance is behind it.
        chance = self.correlation * math.sqrt(self.n - 1) < _CHANCE
        how = "no better than chance" if chance else "weakly"
        return f"ranks {how} (correlation {self.correlation:.2g}, {self.n} trials)"


def judged(then: Sequence[float], final: Sequence[float]) -> Rung:
    """Return how well scores at a rung, `then` [n], rank trials as they end, `final` [n], in the same order."""
    from scipy import stats  # costs time, and most who come to this file want its numbers only

    n = len(then)
    if n < 3 or len(set(then)) == 1 or len(set(final)) == 1:
        return Rung(n=n, correlation=math.nan, spread=math.nan)
    fit = stats.linregress(final, then)
    off = np.asarray(then) - fit.intercept - fit.slope * np.asarray(final)
    spread = math.sqrt(float(off @ off) / (n - 2))  # the line has two parameters
    return Rung(n=n, correlation=float(stats.spearmanr(then, final).statistic), spread=spread)


def percentile(scores: Sequence[float], percent: float) -> float:
    """Return a percentile of scores in ascending order, bit for bit as numpy has it of them in any order."""
    place = (len(scores) - 1) * (percent / 100)
    below = int(place)
    first, second = scores[below], scores[min(below + 1, len(scores) - 1)]
    share, gap = place - below, second - first
    return second - gap * (1 - share) if share >= 0.5 else first + gap * share


def standard_error(cut: float, rung: Rung, examples: int | None) -> float:
    """Return the standard error of a score at a rung, for a trial that would be at the cut but for chance.

    Scores are accuracies on `examples` validation examples: there is their binomial error at the cut, with two right
    and two wrong answers added (A. Agresti, B. A. Coull, 1998), so that it is never 0; and, independent of it, since
    the same examples are asked at the rung and at the end, the rung's `spread`. It alone counts where `examples` is
    None: not known, or scores are of another metric, whose error at a single trial nothing tells.
    """
    if examples is None:
        return rung.spread
    share = (cut * examples + 2) / (examples + 4)
    return math.hypot(math.sqrt(share * (1 - share) / (examples + 4)), rung.spread)


def unused(standing: Mapping[tuple[str, int], Rung], most: int = 3) -> str:
    """Say of which (arm, rung) it is known that they are not used; empty where there are none, `most` by name."""
    said = [
        f"rung {epoch} of {arm} {rung.words}"
        for (arm, epoch), rung in standing.items()
        if rung.n >= ENDED and not rung.used
    ]
    more = [f"{len(said) - most} more"] if len(said) > most else []
    return f"not used: {', '.join(said[:most] + more)}" if said else ""


class Ladder:
    """The scores of one arm's trials at its rungs and at their ends, as they were told."""

    def __init__(self, rungs: Sequence[int]) -> None:
        self._then: dict[int, dict[int, float]] = {rung: {} for rung in rungs}
        self._final: dict[int, float] = {}
        self._version = 0  # grows whenever other trials have ended
        self._known: dict[int, tuple[int, int, Rung]] = {}  # of rungs, with how many had ended then, and the version

    def counts(self, epoch: int, *, ended: bool) -> bool:
        """Return whether a number of an epoch is one that `take` needs: that of a rung, or the last of a trial."""
        return ended or epoch in self._then

    def take(self, number: int, epoch: Epoch, score: float) -> None:
        """Take an epoch of a trial: it counts where it is a rung and not the last, or the end of a trial that is ok."""
        if epoch.outcome is None:
            if epoch.number in self._then:
                self._then[epoch.number][number] = score
        elif epoch.outcome.status == "ok":
            self._final[number] = score
            self._version += 1

    def forget(self, number: int) -> None:
        """Take back how a trial ended: it is none to learn from."""
        self._final.pop(number, None)
        self._version += 1

    @property
    def rungs(self) -> Sequence[int]:
        """The epochs of the rungs, the first one first."""
        return list(self._then)

    def rung(self, rung: int) -> Rung:
        """Return how a rung ranks the trials that passed it and have ended.

        Of many it is as of when they were a twentieth fewer: to rank thousands anew for each takes milliseconds.
        """
        ended, known = len(self._final), self._known.get(rung)
        if known is not None:
            then, version, found = known
            if version == self._version or (ended > EXACT and then <= ended < GROWTH * then):
                return found
        found = self._ranked(rung)
        self._known[rung] = ended, self._version, found
        return found

    def _ranked(self, rung: int) -> Rung:
        both = [(score, self._final[number]) for number, score in self._then[rung].items() if number in self._final]
        return judged([then for then, _ in both], [final for _, final in both])
