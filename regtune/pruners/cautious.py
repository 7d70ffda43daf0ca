"""Cautious ASHA: it uses a rung only once the arm's own trials rank there as at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from regtune.core.metric import ACCURACY, Metric
from regtune.core.records import Epoch
from regtune.pruners._base import Judge, Saving
from regtune.pruners._rungs import ENDED, ERRORS, RANKED, Ladder, standard_error
from regtune.pruners.asha import Asha, AshaJudge


@dataclass(frozen=True, kw_only=True)
class CautiousAsha(Asha):
    """ASHA that prunes only where the arm's own trials show that scores at the rung predict final ones.

    A trial that ASHA would prune continues in two cases: the rung is not used, or its score is within two standard
    errors of the cut. A rung is used once 8 trials that passed it have finished unpruned and rank at it as they do at
    the end. With normal errors, a trial as good as those at the cut is then pruned at a rung with a probability of a
    few percent. Of more than 200 trials that have ended ranks are measured anew with every twentieth more. Trials of
    the control share count as in Asha: those that it would have pruned are not among the trials that it learns from.
    Source: none, made for regtune; the source of ASHA is in the card of `asha`.
    """

    label: ClassVar[str] = "cautious"
    why: ClassVar[str] = "it was clearly not among the best of its own arm"
    independent: ClassVar[bool] = True  # whom it ends would seldom have been chosen

    def judge(self, epochs: int, examples: int | None = None) -> Judge:
        """Return one that asks ASHA, and then the trials that have ended."""
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
        """At a rung that is used, let ASHA decide, and let a trial continue that is near the cut."""
        cut = self.cut_if_below(epoch, score)
        self._ladder.take(number, epoch, score)
        if cut is None:
            return False
        rung = self._ladder.rung(epoch.number)
        return rung.used and score < cut - ERRORS * standard_error(cut, rung, self._examples)
