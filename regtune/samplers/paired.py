"""Paired candidates: trial n has the same values of all shared knobs in every arm, so no arm's learning rates are
luckier than another's. Source of scrambled Sobol points: A. Owen, "Scrambling Sobol' and Niederreiter-Xing Points"
(1998).
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from regtune.core.errors import Refused
from regtune.samplers._base import Question, Sampler
from regtune.samplers._unit import value_at

MOST = 256  # dimensions of the sequence: fixed, since other dimensions would have other points
BLOCK = 256  # points that are made at once: to scramble takes as long for one


class Paired(Sampler):
    """Trial i takes point i of one scrambled Sobol sequence that all arms of a sweep share.

    The knobs that every arm has (those of the optimizer and of `[base]`) are its first dimensions, an arm's own are
    further ones. So adding or changing an arm does not move the points of another.
    """

    adaptive: ClassVar[bool] = False

    def sample(self, question: Question) -> dict[str, Any]:
        """Take the point of this number; raises Refused for more knobs than the sequence has dimensions."""
        paths = sorted(question.space, key=lambda path: path not in question.shared)  # stable: else in their order
        if len(paths) > MOST:
            raise Refused(
                f"search.sampler: expected at most {MOST} searched knobs an arm with paired and with tpe, which begins "
                f"as it does, given {len(paths)}"
            )
        block, place = divmod(question.number, BLOCK)
        points = _points(zlib.crc32(question.sweep.encode()), block)
        point = dict(zip(paths, points[place].tolist(), strict=False))
        return question.answered(lambda path: value_at(question.space[path], point[path]))


@lru_cache(maxsize=4)
def _points(seed: int, block: int) -> NDArray[np.float64]:
    """Return a block of the sequence of a seed, [BLOCK, MOST]."""
    from scipy.stats.qmc import Sobol  # it costs a second, and the other samplers need none of it

    engine = Sobol(MOST, scramble=True, rng=seed)
    if block:  # scipy has its first point before it is drawn, and cannot go forward by none
        engine.fast_forward(block * BLOCK)
    return engine.random(BLOCK)
