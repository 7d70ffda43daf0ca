"""What a sampler is asked, and what it answers."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from regtune.core.search_space import Condition

# Which rules samplers that learn go by, as the header of a log has it under `RULES` of its search: 1, of logs that say
# nothing, hides trials that failed and trains what was trained before; in 2 they are the worst, and it is drawn again.
SAMPLING = 2
RULES = "sampling"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request for the knob values of the `number`-th trial of an arm.

    `space` and `when` are the arm's: knobs by path, and the conditions of those that have one. `stream` names
    sweep, seed and arm: what is drawn differs where it differs; `sweep` names sweep and seed alone, and `shared` are
    the paths of the knobs that every arm has. `history` returns the trials with lower
    numbers, as Optuna sees them; it is a call because most samplers need none. `levels` is for the grid. `sampling` is
    the version of the rules, and `draw` counts the draws for this trial, from 0.
    """

    space: Mapping[str, BaseDistribution]
    when: Mapping[str, Condition]
    stream: str
    sweep: str
    shared: frozenset[str]
    number: int
    history: Callable[[], Sequence[FrozenTrial]]
    levels: int = 3
    sampling: int = SAMPLING
    draw: int = 0

    @property
    def seed(self) -> int:
        """A seed for this draw of this trial alone."""
        again = f"/{self.draw}" if self.draw else ""
        return zlib.crc32(f"{self.stream}/{self.number}{again}".encode())

    def answered(self, draw: Callable[[str], Any]) -> dict[str, Any]:
        """Return a value for every knob that is in play, in the order of the file.

        A knob that has a condition gets one only where the values of the others meet it. `draw` returns the
        value of a path; choices, which have no condition, are drawn first.
        """
        params: dict[str, Any] = {}
        for path in sorted(self.space, key=lambda p: p in self.when):
            if path not in self.when or self.when[path].met(params):
                params[path] = draw(path)
        return {path: params[path] for path in self.space if path in params}


class Sampler(ABC):
    """The base of the samplers. It depends on the question only: a new one is made for every call and keeps no state.

    So a suggestion is a function of the log so far, and a killed driver resumes as if it had not been killed.
    `adaptive` says whether a suggestion may depend on the scores of earlier trials.
    """

    adaptive: ClassVar[bool] = True

    @abstractmethod
    def sample(self, question: Question) -> dict[str, Any]:
        """Return values, plain and by path, for the knobs that are in play."""
