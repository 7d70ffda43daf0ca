"""What a data set is: its settings and a location give a pool of examples; the settings alone give the splits."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.registry import name_of
from regtune.data._location import DataLocation
from regtune.data._splits import Pool, Splits, carve

LEAST_TEST = 10  # examples, where the test split is what the others leave


@dataclass(frozen=True, kw_only=True)
class Dataset(abc.ABC):
    """The base of every data set: a frozen value whose knobs are its settings."""

    train: int = knob(default=1000, legal="[2, 100000000]", meaning="training examples")
    validation: int = knob(default=500, legal="[2, 100000000]", meaning="validation examples")
    split_seed: int = knob(
        default=0, legal="[0, 2147483647]", meaning="seed of the split into train, validation and test"
    )
    label_noise: float = knob(
        default=0.0,
        legal="[0, 1]",
        meaning="probability that a training label is resampled at random; the rest stays clean",
    )
    pixels: str = knob(
        default="true", legal=("true", "shuffled", "random", "gaussian"), meaning="what becomes of the pictures"
    )

    @property
    def where(self) -> str:
        """What a refusal begins with."""
        return f"data {name_of(type(self))}"

    @abc.abstractmethod
    def pool(self, place: DataLocation) -> Pool:
        """Return all examples, the test examples included; raises Refused where that is impossible.

        May take long, and is done once: it depends on no knob of this base class, so that trials with
        splits of their own share a pool.
        """

    def split(self, pool: Pool) -> Splits:
        """Return the splits of a pool, a function of the knobs alone; raises Refused where it is too small.

        If the data set has no official test split, the test split is what the others leave.
        """
        rest = LEAST_TEST if pool.test is None and not pool.sealed else 0
        sizes = (self.train, self.validation, max(len(pool.train) - self.train - self.validation, rest))
        train, validation, test = carve(
            pool.train, classes=pool.classes, sizes=sizes, seed=self.split_seed, where=self.where
        )
        left = None if pool.sealed else test
        return Splits(
            train=train, validation=validation, test=left if pool.test is None else pool.test, classes=pool.classes
        )

    def restricted(self, pool: Pool) -> Pool:
        """Return the part of a pool that the settings ask for; raises Refused for settings that ask for another."""
        return pool

    @property
    def fixed_test(self) -> bool:
        """Whether the test split is the same for every `split_seed`: trials may then have splits of their own.

        Else one of them would train on what another is tested on.
        """
        return False

    def sealed(self, pool: Pool) -> Pool:
        """Return the pool for phases that must not see the test split: none of its pictures is in it.

        For data sets with `fixed_test` only, whose splits of this pool are those of the whole one without its test
        examples; raises Refused for others.
        """
        if not self.fixed_test or pool.test is None:
            raise Refused(
                f"{self.where}: expected a data set with a fixed test split, given one whose test split varies"
            )
        return replace(pool, train=pool.train.compact(), test=None, sealed=True)
