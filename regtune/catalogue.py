"""What is on the shelves, as tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

from regtune.data import DATASETS
from regtune.errors import Refused, nearest
from regtune.networks import NETWORKS
from regtune.optimizers import OPTIMIZERS
from regtune.regularizers import HOOKS, REGULARIZERS, overrides
from regtune.space import Interval, Knob, knobs

HEADINGS = ("method", "hooks", "knobs (default; legal; search space; neutral)", "source")


def regularizers(plugins: tuple[str, ...] = ()) -> list[tuple[str, str, str, str]]:
    """Return one row per regularizer: name, hooks, knobs, source."""
    return [
        (
            name,
            ", ".join(hook for hook in HOOKS if overrides(cls, hook)),
            "; ".join(knob_line(k) for k in knobs(cls).values()),
            source(cls),
        )
        for name, cls in REGULARIZERS.all(plugins).items()
    ]


def markdown() -> str:
    """Return the methods of the shelf as the table of the README."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for name, hooks, settings, where in regularizers():
        # A bar would end the cell, a bracket behind a bracket would be a link.
        cells = [f"`{name}`", hooks, settings.replace("|", " or ").replace("; ", "<br>"), where]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def card(name: str, plugins: tuple[str, ...] = ()) -> str:
    """Return all there is to say of one thing: its module's card, its docstring, its knobs; raises Refused."""
    shelves: list[Mapping[str, type]] = [
        REGULARIZERS.all(plugins),
        DATASETS.all(plugins),
        NETWORKS.all(plugins),
        OPTIMIZERS,
    ]
    things = {key: cls for shelf in shelves for key, cls in shelf.items()}
    if name not in things:
        raise Refused(f"list: unknown name {name!r}{nearest(name, things)}")
    cls = things[name]
    module = inspect.getdoc(inspect.getmodule(cls)) or ""
    lines = [f"  {knob_line(k)}: {k.meaning}" for k in knobs(cls).values()]
    return "\n\n".join([module, inspect.getdoc(cls) or "", "\n".join(["Knobs:", *lines])])


def others(plugins: tuple[str, ...] = ()) -> list[tuple[str, str, str, str]]:
    """Return one row per data set, network and optimizer: kind, name, knobs, first line."""
    shelves: dict[str, Mapping[str, type]] = {
        "data": DATASETS.all(plugins),
        "network": NETWORKS.all(plugins),
        "optimizer": OPTIMIZERS,
    }
    return [
        (kind, name, "; ".join(knob_line(k) for k in knobs(cls).values()), first_line(cls))
        for kind, things in shelves.items()
        for name, cls in things.items()
    ]


def knob_line(k: Knob) -> str:
    """Return a knob in a line: `p_hidden = 0.5 in [0, 1), search [0.1, 0.7], neutral 0.0`."""
    text = f"{k.name} = {k.plain(k.default)}"
    if isinstance(k.legal, Interval):
        text += f" in {k.legal.text}"
    elif k.legal:
        text += f" of {'|'.join(map(str, k.legal))}"
    if k.space is not None:
        log = ", log" if getattr(k.space, "log", False) else ""
        text += f", search [{getattr(k.space, 'low', '')}, {getattr(k.space, 'high', '')}{log}]"
        text += f" at {k.stretch[0]} epochs, in proportion to them" if k.stretch else ""
    return text + (f", neutral {k.plain(k.neutral)}" if k.neutral is not None else "")


def first_line(cls: type) -> str:
    """Return the first sentence line of a docstring."""
    return (cls.__doc__ or "").strip().split("\n")[0]


def source(cls: type) -> str:
    """Return what stands behind `Source:` in a docstring, up to the year in brackets."""
    found = re.search(r"Source: ([^)]*\))", " ".join((cls.__doc__ or "").split()))
    return found.group(1) if found else ""
