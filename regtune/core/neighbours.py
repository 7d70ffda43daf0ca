"""Which trials of a search lie beside each other, by the values of their knobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NEAREST = 3  # a trial and the two beside it


def neighbours(params: Mapping[int, Mapping[str, Any]]) -> dict[int, Sequence[int]]:
    """Return of each trial by number the `NEAREST` trials, itself first, by the searched knobs that all of them have.

    Knobs count by their ranks among the trials, so that it does not matter on which scale one is searched; two values
    of a choice are as far apart as the ends of a range. Empty where there is no such knob: then none lies anywhere.
    """
    numbers = sorted(params)
    paths = sorted(set.intersection(*(set(params[number]) for number in numbers))) if numbers else []
    if not paths:
        return {}
    apart = np.zeros((len(numbers), len(numbers)))
    for path in paths:
        values = [params[number][path] for number in numbers]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            kinds, ranks = np.unique(values, return_inverse=True)
            apart += ((ranks[:, None] - ranks) / len(kinds)) ** 2
        else:
            apart += [[float(one != other) for other in values] for one in values]
    order = np.argsort(apart + np.diag(np.full(len(numbers), -1.0)), axis=1, kind="stable")
    return {number: [numbers[k] for k in row[:NEAREST]] for number, row in zip(numbers, order.tolist(), strict=True)}
