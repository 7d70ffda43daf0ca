"""Data sets that lie on the user's disk: with a test split of their makers, or one that is carved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.data._base import Dataset
from regtune.data._classes import classes_knob, of_classes
from regtune.data._examples import Examples
from regtune.data._splits import Pool, Splits, carve

ALL = 0  # what the word "all" stands for
TEST_SEED = 0  # a carved test split belongs to the data: it is the same for every split seed


@dataclass(frozen=True, kw_only=True)
class Real(Dataset):
    """A data set of which, unless told otherwise, everything is used. The test split is that of its makers."""

    train: int = knob(
        default=ALL,
        off=ALL,
        word="all",
        legal="[2, 100000000]",
        meaning="training examples; all: what validation leaves",
    )
    validation: int = knob(default=5000, legal="[2, 100000000]", meaning="validation examples, of the training split")
    classes: tuple[int, ...] = classes_knob()

    def restricted(self, pool: Pool) -> Pool:
        """Return the pool of the classes that are told apart."""
        return of_classes(pool, self.classes, self.where)

    def parted(self, pool: Pool) -> tuple[Examples, Examples | None]:
        """Return the examples to split into training and validation, and the test examples."""
        return pool.train, pool.test

    def split(self, pool: Pool) -> Splits:
        """Return the splits; raises Refused where validation takes all there is."""
        rest, test = (pool.train, None) if pool.sealed else self.parted(pool)
        left = len(rest) - self.validation
        if left < 2:
            raise Refused(
                f"{self.where}: expected validation to leave training examples, given {self.validation} "
                f"of {len(rest)}; lower validation"
            )
        # Validation first: it is then the same for every size of the training split.
        sizes = (self.validation, left if self.train == ALL else self.train)
        validation, train = carve(rest, classes=pool.classes, sizes=sizes, seed=self.split_seed, where=self.where)
        return Splits(train=train, validation=validation, test=test, classes=pool.classes)

    @property
    def fixed_test(self) -> bool:
        """The test split is that of its makers, or carved in the same way whatever the `split_seed`."""
        return True

    def sealed(self, pool: Pool) -> Pool:
        """Return the pool of those examples that are not for testing."""
        return replace(pool, train=self.parted(pool)[0].compact(), test=None, sealed=True)


@dataclass(frozen=True, kw_only=True)
class Own(Real):
    """The user's own data, found at a path below the data folder."""

    validation: int = knob(default=500, legal="[2, 100000000]", meaning="validation examples, of the training split")
    path: str = knob(default="", meaning="where it lies below the data folder")
    test_share: float = knob(
        default=0.2, legal="(0, 1)", meaning="share that becomes the test split where the data have none"
    )

    def parted(self, pool: Pool) -> tuple[Examples, Examples | None]:
        """Return the examples to split, and the test examples; those are carved where the data have none."""
        if pool.test is not None:
            return pool.train, pool.test
        tested = max(round(self.test_share * len(pool.train)), 1)
        sizes = (tested, len(pool.train) - tested)
        test, rest = carve(pool.train, classes=pool.classes, sizes=sizes, seed=TEST_SEED, where=self.where)
        return rest, test
