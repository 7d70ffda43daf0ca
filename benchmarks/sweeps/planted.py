"""A known effect: one method that spoils a share of what is evaluated, and one that mends exactly that.

Bends: the input, in evaluation only.
Formula: x -> -x for the pictures whose hash lies below `share`; the hash is the same for x and -x.
Expect: without label in sight, accuracy falls by share (accuracy - accuracy on negatives), whatever else the recipe
is, on validation and test; `mend` with the same share behind `spoil` gives every picture back to the bit. With `spoil`
in `[base]` an arm with `mend` is thus better by a known amount, and training knows of neither.
Not with: methods that bend the input in evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.networks import Slot
from regtune.regularizers import Regularizer, Step

GRID = 1024  # levels per unit: whole numbers add up to the same sum in every order, alone and in a lane
WORD = 0xFFFFFFFF
MULTIPLIERS = (0x7FEB352D, 0x846CA68B)  # of lowbias32: Chris Wellons, "Prospecting for Hash Functions" (2018)


def drawn(x: Tensor) -> Tensor:
    """Return a number in [0, 1) for each picture of x [N, ...], the same for its negative.

    Inputs are normalized to the training split, so another split draws other pictures.
    """
    levels = (x.abs() * GRID).round().to(torch.int64).flatten(1)
    places = torch.arange(levels.shape[1], device=x.device) << 16
    word = mixed(mixed(levels + places).sum(1) & WORD)
    return word.to(torch.float64) / (WORD + 1)


def mixed(word: Tensor) -> Tensor:
    """Return words of 32 bits, held as int64, with their bits mixed."""
    for shift, multiplier in zip((16, 15), MULTIPLIERS, strict=True):
        word = ((word ^ (word >> shift)) * multiplier) & WORD
    return word ^ (word >> 16)


@dataclass(frozen=True, kw_only=True)
class Spoil(Regularizer):
    """Evaluates a share of the pictures as their negatives.

    Source: none; it is the handicap of a test whose truth is known.
    """

    needs: ClassVar[tuple[str, ...]] = ("input",)

    share: Number = knob(
        default=0.011,
        legal="[0, 1]",
        space=FloatDistribution(0.01, 0.02),
        neutral=0.0,
        meaning="share of the pictures that are negatives in evaluation",
    )

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        """Return the input with the drawn pictures negated."""
        if slot.kind != "input" or step.training:
            return x
        chosen = drawn(x) < self.share
        return torch.where(chosen.reshape(-1, *[1] * (x.ndim - 1)), -x, x)


@dataclass(frozen=True, kw_only=True)
class Mend(Spoil):
    """Negates once more: behind `spoil` of the same share every picture is as it was.

    Source: none; it is the planted effect of a test whose truth is known.
    """
