"""Fully connected networks of tables, with embeddings of categories; the nine layers of Kadra et al. are a preset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from regtune.core.columns import Column
from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.networks._dense import Dense
from regtune.networks._layers import ACTIVATIONS
from regtune.networks._tables import Embed, TableNetwork


@dataclass(frozen=True, kw_only=True)
class TabularMLP(TableNetwork):
    """Embeddings of categories beside the numbers, then linear layers with an activation behind each hidden one.

    Slots: `input` behind the embeddings, `hidden` behind every hidden layer; with `residual`, a hidden layer as wide as
    the one before it becomes h + activation(W h + b), with a `residual` slot around its branch. Source: C. Guo,
    F. Berkhahn, "Entity Embeddings of Categorical Variables" (2016) for the embeddings.
    """

    widths: tuple[int, ...] = knob(default=(128, 128, 128), legal="[1, 1000000]", meaning="units of each hidden layer")
    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="hidden activation")
    residual: bool = knob(default=False, meaning="shortcuts around layers of equal width")
    batch_norm: bool = knob(default=False, meaning="BatchNorm in front of every hidden activation")

    def made(self, columns: Sequence[Column], channels: int, classes: int) -> nn.Module:
        """Return the module; raises Refused where no layer can have a shortcut."""
        if self.residual and not any(a == b for a, b in pairwise(self.widths)):
            raise Refused(
                f"network tabular_mlp.widths: residual needs two neighbouring layers of equal width, "
                f"given {list(self.widths)}; repeat a width or set residual = false"
            )
        return _TabularDense(self, Embed(columns, self.embedding), channels, classes)


class _TabularDense(Dense):
    """Fully connected layers behind the embeddings of a table."""

    def __init__(self, settings: TabularMLP, embed: Embed, channels: int, classes: int) -> None:
        super().__init__(
            shape=(channels, 1, 1),
            classes=classes,
            widths=settings.widths,
            activation=settings.activation,
            batch_norm=settings.batch_norm,
            residual=settings.residual,
            inputs=embed.size,
        )
        self.embed = embed

    def flat(self, x: Tensor) -> Tensor:
        flat: Tensor = self.embed(x)
        return flat


@dataclass(frozen=True, kw_only=True)
class Kadra2021(TableNetwork):
    """Nine layers of 512 units: the network that the regularization cocktails of forty tables are of.

    BatchNorm and shortcuts are methods of the cocktail there and settings here; with both on, a hidden layer is
    h + relu(BN(W h + b)). Slots as `tabular_mlp`. Source: A. Kadra, M. Lindauer, F. Hutter, J. Grabocka, "Well-tuned
    Simple Nets Excel on Tabular Datasets" (NeurIPS 2021).
    """

    widths: ClassVar[tuple[int, ...]] = (512,) * 9

    activation: str = knob(default="relu", legal=tuple(ACTIVATIONS), meaning="hidden activation")
    batch_norm: bool = knob(default=False, meaning="BatchNorm in front of every hidden activation")
    residual: bool = knob(default=False, meaning="shortcuts around all hidden layers but the first")

    def made(self, columns: Sequence[Column], channels: int, classes: int) -> nn.Module:
        """Return the module."""
        plain = TabularMLP(
            widths=self.widths,
            activation=self.activation,
            batch_norm=self.batch_norm,
            residual=self.residual,
            embedding=self.embedding,
        )
        return plain.made(columns, channels, classes)
