"""What is in the registries, as tables. One is imported where it is looked at: some take torch, seconds of it."""

from __future__ import annotations

import dataclasses
import fnmatch
import inspect
import re
from collections.abc import Mapping, Sequence

from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import Interval, Knob, knobs

KINDS = ("regularizers", "data", "networks", "optimizers", "samplers", "pruners")
HEADINGS = ("method", "hooks", "knobs (default; legal; search space; neutral)", "source")


def things(kind: str, plugins: Sequence[str] = ()) -> Mapping[str, type]:
    """Return what there is of one of the `KINDS`, by name."""
    if kind == "regularizers":
        from regtune.regularizers import REGULARIZERS

        return REGULARIZERS.all(plugins)
    if kind == "data":
        from regtune.data import DATASETS

        return DATASETS.all(plugins)
    if kind == "networks":
        from regtune.networks import NETWORKS

        return NETWORKS.all(plugins)
    if kind == "optimizers":
        from regtune.optimizers import OPTIMIZERS

        return OPTIMIZERS.all(plugins)
    if kind == "samplers":
        from regtune.samplers import SAMPLERS

        return SAMPLERS.all(plugins)
    from regtune.pruners import PRUNERS

    return PRUNERS.all(plugins)


def regularizers(plugins: Sequence[str] = ()) -> list[tuple[str, str, str, str]]:
    """Return one row per regularizer: name, hooks, knobs, source."""
    from regtune.regularizers import HOOKS, overrides

    return [
        (name, ", ".join(hook for hook in HOOKS if overrides(cls, hook)), "; ".join(knob_lines(cls)), source(cls))
        for name, cls in things("regularizers", plugins).items()
    ]


def markdown() -> str:
    """Return the regularizers as the table of docs/methods.md."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for name, hooks, settings, where in regularizers():
        # A bar would end the cell, a bracket behind a bracket would be a link.
        cells = [f"`{name}`", hooks, settings.replace("|", " or ").replace("; ", "<br>"), where]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cards(names: Sequence[str], plugins: Sequence[str] = ()) -> list[str]:
    """Return all there is to say of each of these things; raises Refused, before any is told, for an unknown name."""
    found = {kind: things(kind, plugins) for kind in KINDS} if names else {}
    known = {name for of_kind in found.values() for name in of_kind}
    for name in names:
        if name not in known:
            raise Refused(f"list: unknown name {name!r}{nearest(name, known.union(KINDS))}")
    return ["\n\n".join(_card(of_kind[name]) for of_kind in found.values() if name in of_kind) for name in names]


def models(library: str, pattern: str) -> list[str]:
    """Return the models of a library (timm, torchvision) whose names are like a pattern; raises Refused for none."""
    from regtune.networks import Library

    cls = things("networks")[library]
    known = cls.models() if issubclass(cls, Library) else []
    found = sorted(fnmatch.filter(known, pattern))
    if not found:
        raise Refused(f"--{library}: no model is called {shown(pattern)}{nearest(pattern, known)}")
    return found


def _card(cls: type) -> str:
    """Return the card of a thing's module, its docstring, its knobs."""
    parts = [inspect.getdoc(inspect.getmodule(cls)) or "", inspect.getdoc(cls) or ""]
    if lines := [f"  {knob_line(k)}: {k.meaning}" for k in _knobs(cls).values()]:
        parts.append("\n".join(["Knobs:", *lines]))
    return "\n\n".join(parts)


def others(kinds: Sequence[str], plugins: Sequence[str] = ()) -> list[tuple[str, str, str, str]]:
    """Return one row per thing of these kinds: kind, name, knobs, first line."""
    return [
        (kind.removesuffix("s"), name, "; ".join(knob_lines(cls)), first_line(cls))
        for kind in kinds
        for name, cls in things(kind, plugins).items()
    ]


def knob_lines(cls: type) -> list[str]:
    """Return each knob of a thing in a line; samplers have none, `[search]` has their settings."""
    return [knob_line(k) for k in _knobs(cls).values()]


def _knobs(cls: type) -> dict[str, Knob]:
    return knobs(cls) if dataclasses.is_dataclass(cls) else {}


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
    """Return the first sentence line of a docstring, without the source that may begin there."""
    return (cls.__doc__ or "").strip().split("\n")[0].partition(" Source:")[0]


def source(cls: type) -> str:
    """Return what stands behind `Source:` in a docstring, up to the year in brackets."""
    found = re.search(r"Source: ([^)]*\))", " ".join((cls.__doc__ or "").split()))
    return found.group(1) if found else ""
