"""The paths of searched knobs, and when a method that an arm may leave out is in a trial's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from regtune.core.records import ONE_OF, SWITCH

OPTIMIZER = "optimizer"  # the owner of its own knobs; all others are methods and groups
V = TypeVar("V")


class KnobPath(NamedTuple):
    """Whose knob it is, and which: `optimizer.learning_rate`, `mixup.alpha`; of choices `dropout.switch`, `mix.one_of`.

    Spaces, values and logs have it as text.
    """

    owner: str
    knob: str

    @classmethod
    def of(cls, text: str) -> KnobPath:
        """Return the path that a text is; the name of a knob may hold any sign, that of an owner no point."""
        owner, _, knob = text.partition(".")
        return cls(owner, knob)

    def __str__(self) -> str:
        """Return it as text."""
        return f"{self.owner}.{self.knob}"

    @property
    def is_switch(self) -> bool:
        """Whether it says if a method is in."""
        return self.knob == SWITCH

    @property
    def is_group(self) -> bool:
        """Whether it says which method of a group is in."""
        return self.knob == ONE_OF

    @property
    def is_choice(self) -> bool:
        """Whether it says what is in, and is no knob of anything that is."""
        return self.is_switch or self.is_group


def of_owner(values: Mapping[str, V], owner: str) -> dict[str, V]:
    """Return what there is by path for the knobs of one owner, choices among them, by the names of the knobs."""
    paths = ((KnobPath.of(text), value) for text, value in values.items())
    return {path.knob: value for path, value in paths if path.owner == owner}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A method is in the recipe only where the choice at `path` was this `value`."""

    path: str
    value: bool | str

    def met(self, params: Mapping[str, Any]) -> bool:
        """Return whether these values of searched knobs, by path, put the method in."""
        return bool(params.get(self.path) == self.value)

    def __str__(self) -> str:
        """Return the form used on the command line: `dropout.switch=true`."""
        return f"{self.path}={'true' if self.value is True else self.value}"
