"""A part of the classes of a data set: those are told apart, the others may be learned from first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.data._examples import Examples
from regtune.data._splits import Pool


def classes_knob() -> tuple[int, ...]:
    """Return the knob of data sets that have numbered classes."""
    made: tuple[int, ...] = knob(
        default=(),
        legal="[0, 1000000]",
        late=True,
        meaning="numbers of the classes that are told apart, numbered anew in this order; none for all",
    )
    return made


def of_classes(pool: Pool, classes: Sequence[int], where: str) -> Pool:
    """Return the pool of some classes, `others` the training examples of the rest; raises Refused.

    Pictures are copied: none of the test examples is behind those of `others`.
    """
    if not classes:
        return pool
    wrong = [each for each in classes if each >= pool.classes]
    if wrong or len(classes) < 2 or len(set(classes)) < len(classes):
        raise Refused(
            f"{where}.classes: expected two or more different classes from 0 to {pool.classes - 1}, given "
            f"{list(classes)}; leave it out for all"
        )
    rest = [label for label in range(pool.classes) if label not in classes]
    names = pool.names or tuple(map(str, range(pool.classes)))
    groups = [pool.superclasses[label] for label in classes] if pool.superclasses else []
    return replace(
        pool,
        train=_only(pool.train, classes, pool.classes),
        test=None if pool.test is None else _only(pool.test, classes, pool.classes),
        classes=len(classes),
        names=tuple(names[label] for label in classes),
        superclasses=tuple(sorted(set(groups)).index(group) for group in groups),
        others=_only(pool.train, rest, pool.classes) if rest else None,
    )


def _only(examples: Examples, classes: Sequence[int], count: int) -> Examples:
    """Return the examples of some of `count` classes, numbered by their places among them."""
    numbers: Tensor = torch.full((count,), -1, dtype=torch.int64)
    numbers[list(classes)] = torch.arange(len(classes))
    labels = numbers[examples.labels]
    kept = examples.take((labels >= 0).nonzero()[:, 0]).compact()
    return Examples(source=kept.source, index=kept.index, labels=labels[labels >= 0])
