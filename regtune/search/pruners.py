"""Pruners: which search trials end early. To add one, write a class here, name it in PRUNERS and in
`schema.Search`.

A pruner belongs to one arm, so an arm is pruned against itself only. What it says is a function of the
epochs that it was told, in their order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from regtune.core.control import milestones
from regtune.core.records import Epoch
from regtune.sweep.schema import Search

if TYPE_CHECKING:
    from ray.tune.schedulers import AsyncHyperBandScheduler

    from regtune.statistics.rungs import Ladder


class Pruner(Protocol):
    """Judges the trials of one arm. `why` is what the log says of a trial that it ended.

    `examples` is the number of validation examples where scores are accuracies over them, None where they are not or
    it is not known.
    """

    why: ClassVar[str]

    def __init__(self, epochs: int, search: Search, examples: int | None = None) -> None: ...

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs after which a trial may be ended: workers report there."""

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """Take an epoch of a trial and its score at the epoch kept, of which more is better; say whether it ends."""


class Unpruned:
    """Nobody ends early."""

    why: ClassVar[str] = "nothing ends it"
    rungs: tuple[int, ...] = ()

    def __init__(self, epochs: int, search: Search, examples: int | None = None) -> None: ...

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """Let every trial go on."""
        return False


class AfterEpochs:
    """Every trial ends after the same few epochs, good or bad. Source: R. Egele et al., "The Unreasonable
    Effectiveness Of Early Discarding After One Epoch In Neural Network Hyperparameter Optimization" (2023).
    """

    why: ClassVar[str] = "every search trial is stopped, good or bad"

    def __init__(self, epochs: int, search: Search, examples: int | None = None) -> None:
        self.rungs = (search.stop_after or epochs,)

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """Say whether the epochs are up."""
        return epoch.outcome is None and epoch.number >= self.rungs[0]


class Asha:
    """Ray's own AsyncHyperBandScheduler, with a minimum population. Source: L. Li et al., "A System for Massively
    Parallel Hyperparameter Tuning" (2020).
    """

    why: ClassVar[str] = "it was not among the best of its own arm"

    def __init__(self, epochs: int, search: Search, examples: int | None = None) -> None:
        self._epochs, self._search = epochs, search
        self._grace = max(1, math.ceil(search.grace * epochs))
        self._reached: Counter[int] = Counter()

    @cached_property
    def _asha(self) -> AsyncHyperBandScheduler:
        """The scheduler, made when a trial comes: Ray takes seconds to import, and rungs are known without it."""
        from ray.tune.schedulers import AsyncHyperBandScheduler

        return AsyncHyperBandScheduler(
            time_attr="epoch",
            metric="score",
            mode="max",
            max_t=self._epochs,
            grace_period=self._grace,
            reduction_factor=self._search.factor,
            stop_last_trials=False,
        )

    @property
    def rungs(self) -> tuple[int, ...]:
        """The first after the grace, each later one `factor` times as far."""
        return milestones(self._epochs, self._search.grace, self._search.factor)

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """At a rung with enough trials on it, let Ray's ASHA decide."""
        self._reached[epoch.number] += 1
        if epoch.outcome is not None:
            return False
        handle: Any = _Handle(str(number))
        if epoch.number == 1:
            self._asha.on_trial_add(None, handle)  # ASHA uses no controller, and of the trial its id
        action = self._asha.on_trial_result(None, handle, {"epoch": epoch.number, "score": score})
        return bool(action == self._asha.STOP and self._reached[epoch.number] > self._search.population)


class CautiousAsha(Asha):
    """Asha that ends a trial only where the arm's own trials say that the rung foretells the end, and by how much.

    Of those that ASHA would end, a trial goes on where the rung is not used (`statistics.rungs.Rung.used`: 8 trials
    that passed it must have ended unpruned, and rank at it as they do at the end), and where its score is within two
    standard errors of the cut (`statistics.rungs.standard_error`). One that would end as well as those at the cut is
    ended at a rung with a chance of a few percent, were errors normal. Trials in which the pruner has no say count as
    in Asha: those that it would have ended are not among those that it learns from.
    Source: none, made for regtune; ASHA's is that of `Asha`.
    """

    why: ClassVar[str] = "it was clearly not among the best of its own arm"

    def __init__(self, epochs: int, search: Search, examples: int | None = None) -> None:
        super().__init__(epochs, search)
        self._examples = examples

    @cached_property
    def _ladder(self) -> Ladder:
        """What the rungs are worth; its room loads scipy, which costs time."""
        from regtune.statistics.rungs import Ladder

        return Ladder(self.rungs)

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """At a rung that is used, let ASHA decide, and let a trial go on that is near the cut."""
        from regtune.statistics.rungs import ERRORS, standard_error

        below = super().ends(number, epoch, score)
        earlier = self._ladder.scores(epoch.number) if below else ()
        self._ladder.take(number, epoch, score)
        if not earlier:
            return False
        rung = self._ladder.rung(epoch.number)
        cut = float(np.percentile(earlier, 100 * (1 - 1 / self._search.factor)))  # as Ray's ASHA has it
        return rung.used and score < cut - ERRORS * standard_error(cut, rung, self._examples)


@dataclass(frozen=True)
class _Handle:
    """The only thing that ASHA asks of a trial."""

    trial_id: str


PRUNERS: Mapping[str, type[Pruner]] = {"cautious": CautiousAsha, "asha": Asha, "epochs": AfterEpochs, "none": Unpruned}


def rungs(epochs: int, search: Search) -> tuple[int, ...]:
    """Return the epochs after which a search trial may end early."""
    return PRUNERS[search.pruner](epochs, search).rungs
