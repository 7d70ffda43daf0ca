"""Slots in a module that knows of none: where it drops, behind named submodules, in front of its last layer.

The module stays as it is. A module that drops is replaced by one that holds a place, other places are hooks; so the
names of parameters, which files of weights go by, do not change. One place may be come by several times in a forward
pass, as a shared `nn.Dropout` is: each time is a slot of its own. Which there are, and in which order, is seen in one
pass of pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from regtune.core.errors import Refused, nearest
from regtune.networks._base import Bend, Slot, SlotKind

DROPS_BRANCH = {"StochasticDepth": "p", "DropPath": "drop_prob"}  # of torchvision, of timm: where their rate is


@dataclass
class Seen:
    """What is noted while slots are looked for: them in order, what holds the pictures, and what is within [0, 1]."""

    pictures: int
    slots: list[Slot] = field(default_factory=list)
    bounded: set[int] = field(default_factory=set)


class Now:
    """The forward pass that runs now: how it bends, and how often it came by each place; `where` is its network."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.bend: Bend | None = None
        self.counts: dict[int, int] = {}
        self.seen: Seen | None = None
        self.places: list[Place] = []

    def begin(self, bend: Bend | None) -> tuple[Bend | None, dict[int, int]]:
        """Begin a pass; return what was, to be given to `end`: a penalty may run one within another."""
        before = (self.bend, self.counts)
        self.bend, self.counts = bend, {}
        return before

    def end(self, before: tuple[Bend | None, dict[int, int]]) -> None:
        """End a pass."""
        self.bend, self.counts = before


class Place:
    """A place of a module at which a forward pass comes by; `number` is its own, `where` its name in the module."""

    def __init__(self, kind: SlotKind, now: Now, number: int, where: str) -> None:
        self.kind, self.now, self.number, self.where = kind, now, number, where
        self.slots: list[Slot] = []  # one for each time
        now.places.append(self)
        self.kept = nn.Identity()  # what a residual slot is given as the branch: what the branch made

    def bent(self, signal: Any) -> Any:
        """Return what the recipe makes of what flows here."""
        if not isinstance(signal, Tensor):
            raise Refused(
                f"{self.now.where}: expected one tensor at {self.where}, given {type(signal).__name__}; name a "
                f"submodule that returns one"
            )
        if self.now.bend is None:
            raise Refused(
                f"{self.now.where}: expected {self.where} to run within the module's forward, given a call from "
                f"elsewhere, as torch.utils.checkpoint makes; switch that off"
            )
        slot = self._slot(signal)
        if slot.kind != "residual":
            return slot(signal, self.now.bend)
        kept: Tensor = slot(self.kept, self.now.bend)(signal)
        # What is left out is a single 0; a module may add its shortcut in place.
        return kept if kept.shape == signal.shape else kept.expand(signal.shape).contiguous()

    def behind(self, module: nn.Module, given: tuple[Any, ...], output: Any) -> Any:
        """Bend what a submodule returns, as a forward hook."""
        return self.bent(output)

    def in_front(self, module: nn.Module, given: tuple[Any, ...]) -> Any:
        """Bend what a submodule is given, as a hook in front of its forward."""
        return (self.bent(given[0]), *given[1:])

    def _slot(self, signal: Tensor) -> Slot:
        count = self.now.counts.get(self.number, 0)
        self.now.counts[self.number] = count + 1
        seen = self.now.seen
        if seen is not None:
            self.slots.append(self._made(signal, seen))
            seen.slots.append(self.slots[-1])
        if count >= len(self.slots):
            raise Refused(
                f"{self.now.where}: expected {self.where} to be called {len(self.slots)} times in every forward pass, "
                f"as in the first, given more; call it as often in each"
            )
        return self.slots[count]

    def _made(self, signal: Tensor, seen: Seen) -> Slot:
        memory = signal.untyped_storage().data_ptr()
        kind: SlotKind = "input" if self.kind == "hidden" and memory == seen.pictures else self.kind
        slot = Slot(kind, bounded=kind == "hidden" and memory in seen.bounded)
        slot.followed = True  # features slots have features, where there is a last layer to stand in front of
        return slot


class Stand(nn.Module):
    """What stands where a module dropped; to code that looks at its rate it drops nothing."""

    p = 0.0
    drop_prob = 0.0
    inplace = False

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Any:
        """Return what the recipe makes of x."""
        return self.place.bent(x)


def drops(part: nn.Module) -> tuple[SlotKind, float] | None:
    """Return the kind of the slot that takes the place of a module that drops, and its own rate; None for others.

    Those of branches are known by the name of their class: torchvision's, timm's, and what people copy of them.
    """
    name = type(part).__name__
    if isinstance(part, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
        return "hidden", float(part.p)
    if name in DROPS_BRANCH:
        return "residual", float(getattr(part, DROPS_BRANCH[name], None) or 0.0)
    return None


def chosen(module: nn.Module, patterns: tuple[str, ...], where: str) -> list[str]:
    """Return the names of the submodules that patterns name, in the order of the module; raises Refused.

    `*` stands for one name, or a part of one: `layer2.*` is what is directly in layer2.
    """
    names = [name for name, _ in module.named_modules() if name]
    found = set[str]()
    for pattern in patterns:
        mine = [name for name in names if _matches(name, pattern)]
        if not mine:
            raise Refused(f"{where}: no submodule is called {pattern!r}{nearest(pattern, names)}")
        found.update(mine)
    return [name for name in names if name in found]


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
