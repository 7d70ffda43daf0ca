"""Quasi-random search by Sobol points, which leaves no large gaps. Source: A. Owen, "Scrambling Sobol' and
Niederreiter-Xing Points" (1998).
"""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

from regtune.samplers._base import Question, Sampler
from regtune.samplers._unit import value_at


class Qmc(Sampler):
    """Trial i takes point i of the arm's scrambled Sobol sequence. It needs no history.

    Every knob has a dimension of its own. Where a trial does not use a conditional knob, its coordinate is ignored.
    """

    adaptive: ClassVar[bool] = False

    def sample(self, question: Question) -> dict[str, Any]:
        """Take the point of this number."""
        from scipy.stats.qmc import Sobol  # it costs a second, and the other samplers need none of it

        if not question.space:
            return {}
        engine = Sobol(len(question.space), scramble=True, rng=zlib.crc32(question.stream.encode()))
        if question.number:  # scipy has its first point before it is drawn, and cannot go forward by none
            engine.fast_forward(question.number)
        point = dict(zip(question.space, engine.random(1)[0].tolist(), strict=True))
        return question.answered(lambda path: value_at(question.space[path], point[path]))
