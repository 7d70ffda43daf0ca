"""What a pruner is: a frozen value that says where search trials may end early, and makes judges that say which do.

    rungs(epochs) -> epochs            after which a trial may end: workers report there
    judge(epochs, examples) -> judge   one for each arm, so an arm is pruned against itself only
    judge.ends(number, epoch, score)   takes every epoch of every trial of the arm, in the order in which they come

What a judge says is a function of what it was told, in that order: one that is told the same things again, from a log,
says the same.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from regtune.core.metric import Metric
from regtune.core.records import Epoch, Status
from regtune.core.registry import name_of
from regtune.pruners._rungs import Ladder


class Judge(Protocol):
    """Says which trials of one arm end early."""

    def ends(self, number: int, epoch: Epoch, score: float) -> bool:
        """Take an epoch of a trial and its score at the epoch kept, of which more is better; say whether it ends."""


@runtime_checkable
class SparseJudge(Judge, Protocol):
    """A judge that of a trial needs not all epochs: those in `epochs_needed`, and its last."""

    @property
    def epochs_needed(self) -> frozenset[int]:
        """The epochs."""


class Saving(NamedTuple):
    """What pruning may save: the `first` trials of an arm all continue, each later one takes so many epochs at least,
    on average. `begins` says when it begins, `more` what else has to be.
    """

    first: int
    each: float
    begins: str
    more: str = ""


@dataclass(frozen=True, kw_only=True)
class Pruner(abc.ABC):
    """The base of the pruners. Its knobs are settings of `[search]`.

    `why` is what the log says of a trial that it ended. `at_rungs` says that it judges trials by their scores there, so
    that it may be told to spare some. `finishes` are the statuses of search trials that may be chosen: where all are
    stopped alike, to be is no fault. `independent` says that verdicts may be over searches: which trials are left does
    not depend on the scores of others, or as good as not. `stops` introduces the rungs in a plan.
    """

    why: ClassVar[str] = "its pruner ended it"
    at_rungs: ClassVar[bool] = True
    finishes: ClassVar[frozenset[Status]] = frozenset({"ok"})
    independent: ClassVar[bool] = False
    stops: ClassVar[str] = "pruning after epochs"

    @abc.abstractmethod
    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs after which a trial of so many epochs may be ended, the first one first."""

    @abc.abstractmethod
    def judge(self, epochs: int, examples: int | None = None) -> Judge:
        """Return a new judge for the trials of one arm, of so many epochs.

        `examples` is the number of validation examples where scores are accuracies over them, None where they are not
        or it is not known.
        """

    def most_epochs(self, epochs: int) -> int:
        """Return how many epochs a search trial takes at most."""
        return epochs

    def words(self, metric: Metric) -> str:
        """Say which search trials ended early, as captions have it; `metric` is that of scores."""
        return f"pruned by {name_of(type(self))}"

    def saving(self, epochs: int) -> Saving | None:
        """Return what it may save on trials of so many epochs; None where nothing is to be said of that."""
        return None

    def ladder(self, epochs: int) -> Ladder | None:
        """Return an empty ladder of rungs where it goes by what scores there say of final ones, else None."""
        return None
