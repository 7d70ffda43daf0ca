"""Your own module as it is: any `nn.Module`, or a function that returns one.

`path = "my_models:make_net"` names it, in a file beside the sweep file; `arguments` is what it is called with.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import Table, knob
from regtune.core.own_code import own_errors
from regtune.core.plugins import import_plugin
from regtune.networks._base import Network
from regtune.networks._compiled import uncompiled
from regtune.networks._foreign import Foreign, given_slots, told
from regtune.networks._initializers import INITS, KEEP, MEANING
from regtune.networks._weight_files import load, pinned_digest


@dataclass(frozen=True, kw_only=True)
class Module(Network):
    """Any module of one input, pictures [N, C, H, W], and one output, logits [N, classes].

    Slots: `hidden` in the place of each `nn.Dropout` (1d, 2d, 3d), `input` where one is applied to the pictures
    themselves, `residual` in the place of each `StochasticDepth` and `DropPath`; their own rates are set aside.
    `hidden` and `residual` name further places, behind submodules: of `residual` such whose output is added to a
    shortcut. Slots count in the order in which pictures come by, a module that is called twice has two. `features` in
    front of the last layer, where that is an `nn.Linear`. Weights start as the module sets them, under the trial's
    seed. Source: your own (of any year).
    """

    init: str = knob(default=KEEP, legal=INITS, meaning=f"{MEANING}; keep: as the module sets them itself")
    path: str = knob(
        default="", meaning="module:name of an nn.Module, of a class of one, or of a function that returns one"
    )
    arguments: Table = knob(default=Table(), meaning="what the class or function is called with")
    hidden: tuple[str, ...] = knob(default=(), meaning="submodules behind which methods act; * is a part of a name")
    residual: tuple[str, ...] = knob(default=(), meaning="submodules that end the branch of a residual block")
    normalize: bool = knob(default=True, meaning="normalize pictures in front of it")
    weights: str = knob(
        default="", meaning="file to start from, safetensors or a checkpoint; below REGTUNE_DATA, or from / on"
    )
    digest: str = knob(default="", late=True, meaning="hash of that file; written when a sweep file is read")

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the module with slots; raises Refused, in one line, for one that cannot be trained here."""
        with own_errors(f"network module {self.path}"):
            module, notes = uncompiled(self._made(), "network module")
        if self.weights:
            load(module, self.weights, self.digest, "network module.weights")
        net = given_slots(
            module,
            where="network module",
            shape=shape,
            classes=classes,
            hidden=self.hidden,
            residual=self.residual,
            normalize=self.normalize,
        )
        net.notes = notes
        return net

    def pinned(self) -> Module:
        """Return the settings with the hash of the file of weights; raises Refused where it is another one."""
        return replace(self, digest=pinned_digest(self.weights, self.digest)) if self.weights else self

    def remarks(self, net: nn.Module) -> list[str]:
        """Say which rates were set aside."""
        return [f"network module: {text}" for text in told(net)] if isinstance(net, Foreign) else []

    def _made(self) -> nn.Module:
        found = self._found()
        if isinstance(found, nn.Module):
            if self.arguments:
                raise Refused(
                    f"network.arguments: expected none for {self.path}, which is a module already; name its class"
                )
            return copy.deepcopy(found)  # of which every trial trains one of its own
        if not callable(found):
            raise Refused(
                f"network.path: expected an nn.Module, a class of one, or a function that returns one, given "
                f"{shown(self.path)}, a {type(found).__name__}"
            )
        try:
            inspect.signature(found).bind(**self.arguments)
        except TypeError as error:
            raise Refused(
                f"network.arguments: {self.path} cannot be called with {shown(dict(self.arguments))}: {error}"
            ) from error
        made = found(**self.arguments)
        if not isinstance(made, nn.Module):
            raise Refused(f"network.path: expected {self.path} to return an nn.Module, given {type(made).__name__}")
        return made

    def _found(self) -> Any:
        module, colon, name = self.path.partition(":")
        if not module or not colon or not name:
            raise Refused(
                f"network.path: expected a module and what to take of it, as 'my_models:make_net' for make_net of "
                f"my_models.py, given {shown(self.path)}"
            )
        owner = import_plugin(module)
        if not hasattr(owner, name):
            raise Refused(f"network.path: {module} has no {shown(name)}{nearest(name, _offered(owner))}")
        return getattr(owner, name)


def _offered(owner: object) -> list[str]:
    return [name for name, value in vars(owner).items() if not name.startswith("_") and callable(value)]
