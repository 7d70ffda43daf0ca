"""When a method that an arm may leave out is in a trial's recipe: what samplers know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
