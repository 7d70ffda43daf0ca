"""A pair of a race at one of its looks, and which pairs no look to come can resolve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from regtune.statistics.comparisons import p_value, why_not
from regtune.statistics.intervals import mean_of, sd_of

FAR = 0.05  # chance that a mean comes to lie further out than it is taken to before its pair is given up


@dataclass(frozen=True, kw_only=True)
class Look:
    """A pair at a look: its differences so far, the share of this look, and (p / share, sign) of all looks.

    `beyond` is the variance of its mean that the differences do not show.
    """

    differences: NDArray[np.float64]
    share: float
    past: tuple[tuple[float, float], ...]
    beyond: float = 0.0

    @property
    def p(self) -> float:
        """The sequential p-value; a look whose mean pointed the other way than now does not count."""
        if not self.past or math.isnan(self.past[-1][0]):
            return math.nan
        return min(1.0, *(p for p, sign in self.past if sign == self.past[-1][1]), 1.0)

    def after(self, differences: NDArray[np.float64], share: float, beyond: float) -> Look:
        """Return the pair at the next look."""
        sign = float(np.sign(differences.mean())) if len(differences) else 0.0
        past = (*self.past, (p_value(differences, beyond) / share, sign))
        return Look(differences=differences, share=share, past=past, beyond=beyond)


NOTHING = Look(differences=np.empty(0), share=1.0, past=())


def hopeless(
    left: Mapping[str, Look], ahead: Sequence[tuple[int, float]], *, alpha: float, beside: int = 0
) -> list[str]:
    """Return which pairs that are `left` the variance over searches alone keeps unresolved at all looks `ahead`.

    These are numbers of seeds, each with its share of the error `alpha`. `beside` counts other pairs that stay
    unresolved: each, and each that is found, makes Holm's procedure stricter with the rest.
    """
    found = list[str]()
    while more := [
        arm
        for arm, look in left.items()
        if arm not in found and not _may(look, ahead, alpha / (1 + beside + len(found)))
    ]:
        found += more
    return found


def _may(look: Look, ahead: Sequence[tuple[int, float]], alpha: float) -> bool:
    """Return whether a pair could be resolved now or at a look ahead, were its mean as far out as it may come to lie.

    By then it moves as means of more values of this spread do (Student's t), and nothing but the variance over searches
    is left of its error: where that is 0 anything may be, and where it is not known nothing.
    """
    if math.isnan(look.beyond):
        return False
    if not look.beyond or why_not(look.differences) or look.p <= alpha:
        return True
    n, mean = len(look.differences), abs(mean_of(look.differences))
    out = float(stats.t.ppf(1 - FAR, n - 1)) * sd_of(look.differences)
    return any(
        mean + out * math.sqrt(1 / n - 1 / count)
        >= float(stats.t.ppf(1 - alpha * share / 2, count - 1)) * math.sqrt(look.beyond)
        for count, share in ahead
    )
