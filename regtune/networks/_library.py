"""Networks by name from a library of models: built for the data, with slots where the models drop.

A library says how a model is made and which files of weights it publishes; the rest is the same for all.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import Table, knob
from regtune.core.registry import name_of
from regtune.core.writing import room_for
from regtune.networks._base import Network
from regtune.networks._foreign import Foreign, given_slots, told
from regtune.networks._initializers import INITS, KEEP, MEANING
from regtune.networks._stems import has_stem, make_small
from regtune.networks._weight_files import pinned_digest, place_of, read

PRETRAINED = "pretrained"
SMALL = 64  # pixels: sides of small pictures are at most that long
Weights = Mapping[str, Tensor]
# What libraries raise for arguments that do not fit, and for weights of another model.
FAULTS = (TypeError, ValueError, RuntimeError, AssertionError, KeyError, AttributeError, IndexError, ZeroDivisionError)


@dataclass(frozen=True, kw_only=True)
class Library(Network):
    """The base of networks that a library of models makes."""

    set_here: ClassVar[tuple[str, ...]]  # arguments that are regtune's to give

    init: str = knob(default=KEEP, legal=INITS, meaning=f"{MEANING}; keep: as the library sets them")
    model: str = knob(default="", meaning="name of the model in the library")
    arguments: Table = knob(default=Table(), meaning="what the model is made with besides")
    stem: str = knob(
        default="auto",
        legal=("auto", "small", "own"),
        meaning=f"small: 3 x 3, stride 1, no pooling; auto: that for pictures of at most {SMALL} pixels a side, where "
        f"the model has such a stem and no weights are given",
    )
    hidden: tuple[str, ...] = knob(default=(), meaning="submodules behind which methods act; * is a part of a name")
    residual: tuple[str, ...] = knob(default=(), meaning="submodules that end the branch of a residual block")
    normalize: bool = knob(default=True, meaning="normalize pictures in front of it")
    weights: str = knob(
        default="",
        meaning=f"file to start from, below REGTUNE_DATA or from / on; {PRETRAINED}: what the library publishes, which "
        f"--download fetches",
    )
    digest: str = knob(default="", late=True, meaning="hash of that file; written when a sweep file is read")

    @classmethod
    @abc.abstractmethod
    def models(cls) -> list[str]:
        """Return the names of all models; raises Refused where the library is not installed."""

    @classmethod
    def tagged(cls) -> list[str]:
        """Return the names of models with that of their weights behind a dot, where a library has such names."""
        return []

    @abc.abstractmethod
    def made(self, shape: tuple[int, int, int], classes: int, weights: Weights | None) -> nn.Module:
        """Return the model for pictures of `shape`, with weights if some are given."""

    @abc.abstractmethod
    def published(self) -> str:
        """Return the name of the file of published weights; raises Refused where there are none."""

    @abc.abstractmethod
    def download(self, target: Path) -> None:
        """Fetch the published weights into a file."""

    @property
    def where(self) -> str:
        """What a refusal begins with."""
        return f"network {name_of(type(self))} {self.model}"

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the model with slots; raises Refused, in one line, for one that cannot be trained here."""
        self._check_model()
        weights = read(self._file(), self.digest, "network.weights") if self.weights else None
        try:
            model = self.made(shape, classes, weights)
        except Refused:
            raise
        except FAULTS as error:
            given = f" with {shown(dict(self.arguments))}" if self.arguments else ""
            more = f", and the weights of {self.weights}" if self.weights else ""
            raise Refused(
                f"{self.where}: cannot be made for pictures {list(shape)} and {classes} classes{given}{more}: "
                f"{type(error).__name__}: {shown(str(error), 200)}"
            ) from error
        notes = [*_set_aside(model), *self._stem(model, shape, weights)]
        net = given_slots(
            model,
            where=self.where,
            shape=shape,
            classes=classes,
            hidden=self.hidden,
            residual=self.residual or self.places(model),
            normalize=self.normalize,
            last=True,
        )
        net.notes = notes
        return net

    def places(self, model: nn.Module) -> tuple[str, ...]:
        """Return what ends the branches of residual blocks of a model that has no modules that drop them."""
        return ()

    def fetch(self) -> None:
        """Fetch published weights that are asked for and not there; raises Refused where that fails."""
        if self.weights != PRETRAINED:
            return
        self._check_model()
        target = place_of(self._file(), "network.weights")
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with room_for(target.parent):
                self.download(target)
        except (OSError, RuntimeError) as error:
            raise Refused(f"network.weights: download failed: {shown(str(error), 400)}") from error

    def pinned(self) -> Library:
        """Return the settings with the hash of the file of weights; raises Refused where it is another one."""
        self._check_model()
        if not self.weights:
            return self
        file = self._file()
        if self.weights == PRETRAINED and not place_of(file, "network.weights").exists():
            raise Refused(
                f"network.weights: expected {file} in the data folder, found nothing; --download fetches it, as in "
                f"regtune run FILE --download, nothing else does"
            )
        return replace(self, digest=pinned_digest(file, self.digest))

    def remarks(self, net: nn.Module) -> list[str]:
        """Say which rates were set aside, and what else was made of the model."""
        return [f"{self.where}: {text}" for text in told(net)] if isinstance(net, Foreign) else []

    def _check_model(self) -> None:
        """Raise Refused for a model that the library does not have."""
        library = name_of(type(self))
        known = self.models()
        if self.model not in known and self.model not in (known := [*known, *self.tagged()]):
            near = nearest(self.model, known) if self.model else ""
            raise Refused(
                f"network.model: expected the name of a model, given {shown(self.model)}{near}; regtune list "
                f"--{library} '*' finds names"
            )
        if ours := [name for name in self.arguments if name in self.set_here]:
            raise Refused(
                f"network.arguments: expected what regtune does not set itself, given {ours[0]}; classes and channels "
                f"are those of the data, weights a setting of [network]"
            )

    def _file(self) -> str:
        return f"{name_of(type(self))}/{self.published()}" if self.weights == PRETRAINED else self.weights

    def _stem(self, model: nn.Module, shape: tuple[int, int, int], weights: Weights | None) -> list[str]:
        """Give a model the stem of small pictures if it is to have it, and say so."""
        if self.stem == "own":
            return []
        if not has_stem(model):
            if self.stem == "small":
                raise Refused(
                    f"{self.where}.stem: expected a model with a convolution of stride 2 and a pooling in front, as "
                    f"resnet18, given one without; drop stem = 'small'"
                )
            return []
        if self.stem == "auto" and (max(shape[1:]) > SMALL or weights is not None):
            return []
        make_small(model)
        anew = "; the weights of its own stem are left out" if weights is not None else ""
        small = f" for pictures of at most {SMALL} pixels a side; stem = 'own' keeps its own"
        said = small if self.stem == "auto" else ""
        return [f"its stem is 3 x 3, stride 1, without pooling{said}{anew}"]


def _set_aside(model: nn.Module) -> list[str]:
    """Switch off dropout that is no module but a rate by which a model drops in its forward, and say so."""
    had = set[float]()
    for part in model.modules():
        rate = vars(part).get("drop_rate")
        if isinstance(rate, float) and rate > 0:
            had.add(rate)
            part.drop_rate = 0.0  # type: ignore[assignment]  # an attribute of some models
    return [f"its drop_rate of {', '.join(f'{rate:g}' for rate in sorted(had))} is set aside"] if had else []
