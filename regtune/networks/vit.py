"""Vision transformers, small by default."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from regtune.core.errors import Refused
from regtune.core.knobs import knob
from regtune.core.rng import Rng
from regtune.networks._base import Bend, Network, Normalize, Slot
from regtune.networks._initializers import INITS, MEANING, Drawn
from regtune.networks._layers import ACTIVATIONS, bounded, expect_side

WIDER = 4  # hidden units of an mlp, over its inputs
EPSILON = 1e-6  # of LayerNorm, as in the authors' code


@dataclass(frozen=True, kw_only=True)
class Vit(Network):
    """Patches and a class token as tokens, pre-norm blocks of attention and an mlp, a linear layer on the token.

    Slots: `input`; `hidden` where the paper puts dropout, behind the position embedding, behind attention's projection
    and behind both layers of every mlp; `residual` around both branches of every block; `features`. Pictures that
    patches do not divide get rows and columns of zeros below and on the right. Positions start normal, with a standard
    deviation of 0.02, the token at 0. 32 x 32 x 3 and 10 classes: 683,242 parameters. Source: A. Dosovitskiy et al.,
    "An Image is Worth 16x16 Words" (ICLR 2021).
    """

    init: str = knob(default="glorot", legal=INITS, meaning=MEANING)
    patch: int = knob(default=4, legal="[1, 10000]", meaning="pixels of a side of a patch")
    depth: int = knob(default=6, legal="[1, 1000]", meaning="blocks")
    heads: int = knob(default=3, legal="[1, 1000]", meaning="heads of attention, which divide the width")
    width: int = knob(default=96, legal="[1, 100000]", meaning="numbers of a token")
    activation: str = knob(default="gelu", legal=tuple(ACTIVATIONS), meaning="activation of the mlps")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module; raises Refused for heads that do not divide the width, and pictures below a patch."""
        expect_side("vit", shape, self.patch, "give a smaller patch")
        if self.width % self.heads:
            raise Refused(
                f"network vit.heads: expected a divisor of the width {self.width}, given {self.heads}; change "
                f"one of them"
            )
        return _Vit(self, shape, classes)


class _Vit(nn.Module):
    def __init__(self, settings: Vit, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        patch, width = settings.patch, settings.width
        self.more = (0, -shape[2] % patch, 0, -shape[1] % patch)
        tokens = 1 + -(-shape[1] // patch) * -(-shape[2] // patch)
        self.normalize = Normalize(shape[0])
        self.input = Slot("input")
        self.patches = nn.Conv2d(shape[0], width, patch, stride=patch)
        self.token = _Embedded(1, width, spread=0.0)
        self.positions = _Embedded(tokens, width, spread=0.02)
        self.hidden = Slot("hidden")
        self.hidden.followed = True
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.depth))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.features = Slot("features")
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor, bend: Bend) -> Tensor:
        patches = self.patches(pad(self.input(self.normalize(x), bend), self.more))
        token = self.token.weight.expand(x.shape[0], -1, -1)
        h = torch.cat([token, patches.flatten(2).transpose(1, 2)], 1) + self.positions.weight
        h = self.hidden(h, bend)
        for block in self.blocks:
            h = block(h, bend)
        logits: Tensor = self.head(self.features(self.norm(h)[:, 0], bend))
        return logits


class _Embedded(nn.Embedding, Drawn):
    """Rows that are learned: by its type it is spared by penalties."""

    def __init__(self, rows: int, width: int, *, spread: float) -> None:
        super().__init__(rows, width)
        self.spread = spread

    def draw(self, rng: Rng) -> None:
        """Draw the rows, normal with a standard deviation of `spread`."""
        self.weight.copy_(rng.normal("weight", self.weight.shape) * self.spread)


class _Block(nn.Module):
    """h + attention(h), then h + mlp(h), [N, tokens, width] -> the same."""

    def __init__(self, settings: Vit) -> None:
        super().__init__()
        self.attention = _Attention(settings.width, settings.heads)
        self.residual1 = Slot("residual")
        self.mlp = _Mlp(settings.width, settings.activation)
        self.residual2 = Slot("residual")

    def forward(self, h: Tensor, bend: Bend) -> Tensor:
        h = h + self.residual1(self.attention, bend, run=lambda x: self.attention(x, bend))(h)
        y: Tensor = h + self.residual2(self.mlp, bend, run=lambda x: self.mlp(x, bend))(h)
        return y


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.hidden = Slot("hidden", inner=True)

    def forward(self, h: Tensor, bend: Bend) -> Tensor:
        count, tokens, width = h.shape
        parts = self.qkv(self.norm(h)).view(count, tokens, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        shares = (q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        seen = (shares @ v).transpose(1, 2).reshape(count, tokens, width)
        y: Tensor = self.hidden(self.projection(seen), bend)
        return y


class _Mlp(nn.Module):
    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.first, self.activation = nn.Linear(width, WIDER * width), ACTIVATIONS[activation]()
        self.hidden1 = Slot("hidden", bounded=bounded(activation), inner=True)
        self.second = nn.Linear(WIDER * width, width)
        self.hidden2 = Slot("hidden", inner=True)

    def forward(self, h: Tensor, bend: Bend) -> Tensor:
        h = self.hidden1(self.activation(self.first(self.norm(h))), bend)
        y: Tensor = self.hidden2(self.second(h), bend)
        return y
