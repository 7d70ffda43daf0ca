"""Cautious ASHA: it believes a rung only where the arm's own trials rank there as they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from regtune.core.metric import ACCURACY, Metric
from regtune.core.records import Epoch
from regtune.pruners._base import Judge, Saving
from regtune.pruners._rungs import ENDED, ERRORS, RANKED, Ladder, standard_error
from regtune.pruners.asha import Asha, AshaJudge


@dataclass(frozen=True, kw_only=True)
class CautiousAsha(Asha):
    """Asha that ends a trial only where the arm's own trials say that the rung foretells the end, and by how much.

    Of those that ASHA would end, a trial goes on where the rung is not used (8 trials that passed it must have ended
    unpruned, and rank at it as they do at the end), and where its score is within two standard errors of the cut. One
    that would end as well as those at the cut is ended at a rung with a chance of a few percent, were errors normal.
    Trials in which the pruner has no say count as in Asha: those that it would have ended are not among those that it
    learns from. Source: none, made for regtune; ASHA's is that of `Asha`.
    """

    label: ClassVar[str] = "cautious"
    why: ClassVar[str] = "it was clearly not among the best of its own arm"
    independent: ClassVar[bool] = True  # whom it ends would seldom have been chosen

    def judge(self, epochs: int, examples: int | None = None) -> Judge:
        """Return one that asks Ray's ASHA, and then the trials that have ended."""
        return CautiousJudge(self, epochs, examples)

    def words(self, metric: Metric) -> str:
        """Say against whom trials were pruned, and where."""
        error = "" if metric == ACCURACY else ", by the spread of the arm's own trials alone"
        return (
            f"{super().words(metric)}. A rung is used once {ENDED} or more of them have finished and rank there as at "
            f"the end (Spearman's correlation {RANKED:g} or more). A trial is pruned there only if its score is more "
            f"than two standard errors below the cut{error}"
        )

    def saving(self, epochs: int) -> Saving:
        """Return what ASHA would save, once trials have ended."""
        more = ", and a rung is used only if they rank there as at the end"
        return Saving(ENDED, super().saving(epochs).each, f"{ENDED} trials of an arm must finish", more)

    def ladder(self, epochs: int) -> Ladder:
        """Return the rungs, which nobody has passed yet."""
        return Ladder(self.rungs(epochs))


class CautiousJudge(AshaJudge):
    """What ASHA says, where a rung is used and a trial is not near the cut."""

    def __init__(self, pruner: CautiousAsha, epochs: int, examples: int | None) -> None:
        super().__init__(pruner, epochs)
        self._examples, self._ladder = examples, pruner.ladder(epochs)

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """At a rung that is used, let ASHA decide, and let a trial go on that is near the cut."""
        below = super().ends(number, epoch, score)
        earlier = self._ladder.scores(epoch.number) if below else ()
        self._ladder.take(number, epoch, score)
        if not earlier:
            return False
        rung = self._ladder.rung(epoch.number)
        cut = float(np.percentile(earlier, 100 * (1 - 1 / self._pruner.factor)))  # as Ray's ASHA has it
        return rung.used and score < cut - ERRORS * standard_error(cut, rung, self._examples)
