"""Random search: every trial is an independent draw. Source: J. Bergstra, Y. Bengio, JMLR 13 (2012)."""

from __future__ import annotations

from typing import Any, ClassVar

import optuna

from regtune.samplers._base import Question, Sampler
from regtune.samplers._optuna import ask_optuna


class Random(Sampler):
    """Optuna's RandomSampler; it uses no history."""

    adaptive: ClassVar[bool] = False

    def sample(self, question: Question) -> dict[str, Any]:
        """Draw."""
        return ask_optuna(question, optuna.samplers.RandomSampler(seed=question.seed), history=())
