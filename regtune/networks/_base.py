"""What a network is to regtune: a module whose forward pass takes (x, bend) and places slots."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from regtune.core.columns import Column
from regtune.core.errors import Refused
from regtune.core.global_rng import seeded
from regtune.core.knobs import knob
from regtune.core.registry import name_of
from regtune.core.rng import Rng
from regtune.networks._initializers import INITS, MEANING, draw

SlotKind = Literal["input", "hidden", "residual", "features"]
Bend = Callable[[Any, "Slot"], Any]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """What a residual slot hands over: `module`, the branch of its block, and `run`, how it is run now."""

    module: nn.Module
    run: Callable[[Tensor], Tensor]

    def __call__(self, h: Tensor) -> Tensor:
        """Return what the branch adds to its block."""
        return self.run(h)

    def bent(self, run: Callable[[Tensor], Tensor]) -> Branch:
        """Return the branch, run in another way."""
        return replace(self, run=run)

    def counted(self, ran: list[str], label: str) -> Branch:
        """Return the branch; every time that it is really run, its label goes into a list."""

        def run(h: Tensor) -> Tensor:
            ran.append(label)
            return self.run(h)

        return self.bent(run)

    def trial_run(self, h: Tensor, keep: Tensor) -> Tensor:
        """Run the branch; its buffers are updated only where `keep` (0-dim, bool) is true, else stay as they were."""
        held = [(part, name, b) for part in self.module.modules() for name, b in part.named_buffers(recurse=False)]
        for part, name, buffer in held:  # on copies: autograd wants what a forward pass used left alone
            setattr(part, name, buffer.clone())
        result = self.run(h)
        for part, name, buffer in held:
            buffer.copy_(torch.where(keep, getattr(part, name), buffer))
            setattr(part, name, buffer)
        return result


class Slot(nn.Module):
    """A named, empty place where a recipe may bend what flows through.

    An `input` or `hidden` slot is called with a tensor [N, ...] and returns one of the same shape. A
    `residual` slot is called with the module that is the branch of its block, and returns a `Branch`; where
    that module has slots of its own, `run` says how it is run, with a `bend` for them.
    A `features` slot is called with what enters the last layer and returns it: nothing is bent there. A network needs
    one where no hidden slot outside of residual branches stands in front of its last layer, for heads of other tasks.
    `number` counts the slots of a kind from 1 in the order of the modules; `count` is how many exist.
    `bounded` says that what flows there lies in [0, 1], as behind a sigmoid; `inner` that the slot is part
    of a residual branch, which may be left out, so that nothing can be made of its activations; `followed` that more
    than the last layer may stand behind a hidden slot, so that what leaves it are not the network's features.
    """

    def __init__(self, kind: SlotKind, *, bounded: bool = False, inner: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.bounded = bounded
        self.inner = inner
        self.followed = False
        self.number = 0
        self.count = 0

    @property
    def label(self) -> str:
        """The name of the slot within its network: `hidden2`."""
        return f"{self.kind}{self.number}"

    def forward(self, signal: Any, bend: Bend, run: Callable[[Tensor], Tensor] | None = None) -> Any:
        """Return what the recipe makes of the signal."""
        return bend(Branch(module=signal, run=run or signal) if self.kind == "residual" else signal, self)


class Normalize(nn.Module):
    """Images in [0, 1] -> zero mean and unit variance per channel of the training images."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Take mean and standard deviation [C] of the training images in [0, 1]."""
        self.mean.copy_(mean[:, None, None])
        self.std.copy_(std.clamp_min(1e-6)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized images, same shape."""
        return (x - self.mean) / self.std


@dataclass(frozen=True, kw_only=True)
class Network(abc.ABC):
    """The base of every network family: a frozen value whose knobs are its settings.

    A family may give `init` another default: the scheme of its source. `tables` says that it takes rows of
    a table too: they come as pictures of one pixel, a channel for each feature.
    """

    tables: ClassVar[bool] = False

    init: str = knob(default="torch", legal=INITS, meaning=MEANING)

    @abc.abstractmethod
    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module for images of `shape` (channels, height, width).

        Its forward takes (x [N, C, H, W] in [0, 1], bend) and returns logits [N, classes]; it calls
        every slot with what flows there and `bend`. Raises Refused for settings that do not fit.
        """

    def build_table(self, *, columns: Sequence[Column], classes: int) -> nn.Module:
        """Return the module for rows x [N, F, 1, 1] of a table of such columns; by default that of `build`."""
        return self.build(shape=(sum(column.size for column in columns), 1, 1), classes=classes)

    def pinned(self) -> Network:
        """Return these settings with a hash of each file that they name, so that they say what it holds."""
        return self

    def fetch(self) -> None:
        """Fetch files that the settings name and that are published, where they are missing: for `--download` only."""
        return

    def remarks(self, net: nn.Module) -> list[str]:
        """Return what a user should know of the module that `build` returned, a line each."""
        return []


def slots(module: nn.Module) -> list[Slot]:
    """Return the slots of a module in order."""
    return [part for part in module.modules() if isinstance(part, Slot)]


def built(network: Network, *, shape: tuple[int, int, int], classes: int, columns: Sequence[Column] = ()) -> nn.Module:
    """Return the module of a network for pictures of a shape, or for a table where there are columns."""
    if columns:
        return network.build_table(columns=columns, classes=classes)
    return network.build(shape=shape, classes=classes)


def fresh(
    network: Network,
    *,
    shape: tuple[int, int, int],
    classes: int,
    seed: int,
    columns: Sequence[Column] = (),
) -> nn.Module:
    """Build a module and draw its initial weights from counter-based noise.

    Linear and convolution layers by the scheme that the network names, keyed by parameter name, so arms that
    share a network share its weights; with `init = "keep"` they are those that `build` returns. What a module sets
    up otherwise is kept (normalization scales by 1 and shifts by 0); if it draws random numbers for that, they come
    from a generator seeded with `seed`.
    """
    with seeded(seed, "build"):
        torch.manual_seed(seed)
        module = built(network, shape=shape, classes=classes, columns=columns)
    if not isinstance(module, nn.Module):
        raise Refused(
            f"network {name_of(type(network))}: expected build to return an nn.Module, given {type(module).__name__}"
        )
    for kind in get_args(SlotKind):
        places = [slot for slot in slots(module) if slot.kind == kind]
        for number, slot in enumerate(places, start=1):
            slot.number, slot.count = number, len(places)
    with torch.no_grad():
        draw(module, network.init, Rng(seed=seed).at("initial"))
    return module
