"""Fully connected networks of any widths, plain or residual."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import nn

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.networks._base import Network
from regtune.networks._dense import Dense
from regtune.networks._layers import ACTIVATIONS


@dataclass(frozen=True, kw_only=True)
class MLP(Network):
    """Linear layers with an activation behind each hidden one, an `input` and `hidden` slots.

    With `residual`, a hidden layer as wide as the one before it becomes h + activation(W h + b), with a
    `residual` slot around its branch. Source: K. He et al., "Deep Residual Learning" (2016) for the
    shortcut.
    """

    tables: ClassVar[bool] = True

    widths: tuple[int, ...] = knob(default=(64, 64, 64), legal="[1, 1000000]", meaning="units of each hidden layer")
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="hidden activation")
    residual: bool = knob(default=False, meaning="shortcuts around layers of equal width")
    batch_norm: bool = knob(default=False, meaning="BatchNorm in front of every hidden activation")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; raises Refused where no layer can have a shortcut."""
        if self.residual and not any(a == b for a, b in pairwise(self.widths)):
            raise Refused(
                f"network mlp.widths: residual needs two neighbouring layers of equal width, "
                f"given {list(self.widths)}; repeat a width or set residual = false"
            )
        return Dense(
            shape=shape,
            classes=classes,
            widths=self.widths,
            activation=self.activation,
            batch_norm=self.batch_norm,
            residual=self.residual,
        )
