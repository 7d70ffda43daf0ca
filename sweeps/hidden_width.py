"""Hidden width as a method, so that arms of one sweep can differ in it: for the sweeps on double descent.

Changes: hidden slots, in training and at test.
Formula: h_j for j < units, 0 for the others; j counts the units of a layer, in a convolution its channels.
Expect: the net with `units` units in every hidden layer; test error that peaks where it can just fit the training set.
Not with: batch norm, whose units of the same layer it does not see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.networks import Slot
from regtune.regularizers import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class HiddenWidth(Regularizer):
    """Silences all hidden units but the first `units`, which leaves a narrower network.

    It has the initial weights of the wide one: torch's into the output layer are as small as for its full width.
    The penalties of other methods, and the weight norm in the table, see the silent units too. Source: none, made for
    regtune.
    """

    needs: ClassVar[tuple[str, ...]] = ("hidden",)

    units: Number = knob(default=64, legal="[1, 1000000]", neutral=1000000, meaning="hidden units that are left")

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        """Silence the units of hidden slots from number `units` on; in [N, C, H, W] a unit is a channel."""
        if slot.kind != "hidden":
            return x
        left = torch.arange(x.shape[1], device=x.device) < self.units
        return torch.where(left.view(-1, *[1] * (x.dim() - 2)), x, torch.zeros_like(x))
