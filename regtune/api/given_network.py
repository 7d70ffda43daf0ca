"""A network as it is given in Python: a name of the shelf, settings, a class or function, or a live module.

A sweep names its network by words, so that a log says what was trained and any process can make it. A class or a
function that lies in a module is named so. What cannot be named, as a live module, a lambda, or what a script or a
notebook defines, is put under a name that is a hash of what it is, in this process alone: beside the results lies a
file of that name, which holds its sources as far as they are known and refuses to be imported, with the way out.
Nothing is pickled: what is in a results folder is never executed.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from regtune.api.identity import ATOMS, MODES, Identity, source_of
from regtune.core.errors import Refused, shown
from regtune.core.own_code import own_errors
from regtune.core.plugins import spec_of
from regtune.core.records import Json

GIVEN = "given_network_"  # what the names of modules begin with that this process alone has
MADE = "made"  # what such a module has
STUB = '''"""The network of a comparison: {what}.

The process that was given it has it, and no file can name it. Its sources, as far as they are known, stand below.
"""

raise ImportError(
    "regtune.compare was given this network as {kind}, which only that process has; "
    "put a function that makes it into a file of its own (make_net in my_models.py), import it, and compare again"
)

{sources}'''


@dataclass(frozen=True, kw_only=True)
class GivenNetwork:
    """The table `[network]`, and what is to be registered before a trial is trained; `note` is what a user should know.

    `live` is the module or what makes it, where no file can name it, `name` the module that it is registered as, and
    `source` the text of the file of that name. `doubt` is what it holds that it cannot be known again by.
    """

    table: Json
    live: object = None
    name: str = ""
    source: str = ""
    doubt: str = ""
    note: str = ""

    def register(self, folder: Path) -> None:
        """Have this process find a live network by its name, and write the file that says so elsewhere."""
        if not self.name:
            return
        path = folder / f"{self.name}.py"
        path.write_text(self.source, encoding="utf-8")
        module = ModuleType(self.name)
        module.__file__ = str(path.absolute())
        setattr(module, MADE, self.live)
        sys.modules[self.name] = module


def given_network(net: object) -> GivenNetwork:
    """Return what was given as a network; raises Refused for what is none."""
    if isinstance(net, str):
        return GivenNetwork(table={"name": "module", "path": net} if ":" in net else {"name": net})
    if isinstance(net, Mapping):
        return GivenNetwork(table=dict(net))
    if not isinstance(net, nn.Module) and not callable(net):
        raise Refused(
            f"net: expected an nn.Module, a class of one, a function that returns one, or the name of a network, given "
            f"{shown(net)}"
        )
    path = path_of(net)
    if path:
        return GivenNetwork(table={"name": "module", "path": path})
    return _live(net)


def path_of(made: object) -> str:
    """Return module:name of a class or function that another process can import; empty for what it cannot."""
    module, name = getattr(made, "__module__", None), getattr(made, "__qualname__", None)
    if isinstance(made, nn.Module) or not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return ""
    known = getattr(sys.modules.get(module), name, None) is made
    return f"{module}:{name}" if known and not module.startswith(GIVEN) and spec_of(module) is not None else ""


def is_live(table: Json) -> bool:
    """Return whether `[network]` is one that only the process has that was given it."""
    return str(table.get("path", "")).startswith(GIVEN)


def check_here(table: Json) -> None:
    """Raise Refused for a live network that this process was not given."""
    if is_live(table) and str(table["path"]).partition(":")[0] not in sys.modules:
        raise Refused(
            "network: it was given to regtune.compare as an object, which only that process has; call compare with it "
            "again, as it was, which trains nothing anew"
        )


def _live(net: nn.Module | Callable[[], Any]) -> GivenNetwork:
    """Return a network that no file can name, under the hash of what it is."""
    is_module = isinstance(net, nn.Module)
    if is_module:
        made: Any = net
    else:
        with torch.random.fork_rng(devices=[]), own_errors("net"):
            made = net()
        if not isinstance(made, nn.Module):
            raise Refused(f"net: expected a function that returns an nn.Module, given {type(made).__name__}")
    types = dict.fromkeys(type(part) for part in made.modules() if not type(part).__module__.startswith("torch."))
    sources = [*dict.fromkeys(map(_source, ([] if is_module else [net]) + [*types]))]
    identity = Identity()
    with own_errors("net"):
        seal = hashlib.sha256(b"".join(map(identity.of, (net, *([] if is_module else _made(made))))))
    name = f"{GIVEN}{seal.hexdigest()[:12]}"
    kind = "a live module" if is_module else f"a {'class' if inspect.isclass(net) else 'function'} of a script"
    what = f"{kind} ({type(made).__name__})"
    lines = ["# " + line for text in sources for line in [*text.splitlines(), ""]]
    note = (
        "net: a live module, so each trial begins with the weights that it has now, whatever its seed; give its class, "
        "or a function that makes it, to have them drawn anew"
    )
    return GivenNetwork(
        table={"name": "module", "path": f"{name}:{MADE}"},
        live=net,
        name=name,
        source=STUB.format(what=what, kind=kind, sources="\n".join(line.rstrip() for line in lines) + "\n"),
        doubt=next(iter(identity.unknown), ""),
        note=note if is_module and any(True for _ in made.parameters()) else "",
    )


def _made(made: nn.Module) -> Iterator[object]:
    """Yield what is known of each module that a function makes: its weights are drawn, so they are not."""
    yield repr(made)
    for name, part in made.named_modules():
        yield from (name, type(part))
        yield [(each, value) for each, value in vars(part).items() if each not in MODES and type(value) in ATOMS]
        for each, tensor in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            yield f"{each} {'' if is_lazy(tensor) else [*tensor.shape]} {tensor.dtype}"


def _source(thing: Any) -> str:
    return source_of(thing) or f"{getattr(thing, '__qualname__', type(thing).__name__)}: no source is known"
