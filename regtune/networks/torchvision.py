"""Classifiers of torchvision by name, as they are: `regtune list --torchvision 'resnet*'` finds names.

Made for the data: classes, channels and, where a model takes it, the size of its pictures.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.networks._library import Library, Weights
from regtune.networks._weight_files import fill

SIZES = ("image_size", "input_size")  # what models that take the size of pictures call it
COLOURS = 3


@dataclass(frozen=True, kw_only=True)
class Torchvision(Library):
    """Any classifier of torchvision.

    Slots: `hidden` in the place of each `nn.Dropout`, and in front of the last layer where none is; `residual` in the
    place of each `StochasticDepth`, and behind the branches of the blocks of a resnet, which has no such modules;
    `features`. Rates of its own are set aside: a recipe says what is dropped. Weights start as torchvision sets them,
    under the trial's seed, or from a file; the last layer starts anew where the file is for another number of classes.
    Pictures of one channel are read as grey ones of three, by the sum of the first weights. Source: torchvision
    maintainers and contributors, "TorchVision" (2016).
    """

    set_here: ClassVar[tuple[str, ...]] = ("num_classes", "weights", "weights_backbone", "pretrained", "progress")

    @classmethod
    def models(cls) -> list[str]:
        """Return the names of all classifiers; raises Refused where torchvision is not installed."""
        models = _models()
        return list(models.list_models(module=models))

    def made(self, shape: tuple[int, int, int], classes: int, weights: Weights | None) -> nn.Module:
        """Return the model for pictures of `shape`, with weights if some are given."""
        model = self._created(shape, classes)
        if weights is not None:
            head = _last(model)
            size = len(weights[f"{head}.weight"]) if f"{head}.weight" in weights else classes
            layer = model.get_submodule(head)
            model = self._created(shape, size)
            fill(model, dict(weights), "network.weights")
            if size != classes:
                model.set_submodule(head, layer)
        if shape[0] != COLOURS:
            _read_channels(model, shape[0])
        return model

    def places(self, model: nn.Module) -> tuple[str, ...]:
        """Return what ends the branches of the blocks of a resnet."""
        resnet = _models().resnet
        if not isinstance(model, resnet.ResNet):
            return ()
        return ("layer*.*.bn3",) if isinstance(model.layer1[0], resnet.Bottleneck) else ("layer*.*.bn2",)

    def published(self) -> str:
        """Return the name of the file of published weights."""
        return self._url().rpartition("/")[2]

    def download(self, target: Path) -> None:
        """Fetch the published weights into a file, and compare it with the checksum in its name."""
        url = self._url()
        found = re.search(r"-([0-9a-f]{8,})\.", url)
        torch.hub.download_url_to_file(url, str(target), found[1] if found else None, progress=False)

    def _url(self) -> str:
        return str(_models().get_model_weights(self.model).DEFAULT.url)

    def _created(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Return the model, with the size of pictures where it takes one."""
        for name in SIZES:
            size = shape[1] if name == "image_size" else shape[1:]
            try:
                return self._called({name: size, "num_classes": classes, **self.arguments})
            except TypeError as error:
                if name in self.arguments or f"unexpected keyword argument '{name}'" not in str(error):
                    raise
        return self._called({"num_classes": classes, **self.arguments})

    def _called(self, given: dict[str, Any]) -> nn.Module:
        model: nn.Module = _models().get_model(self.model, weights=None, **given)
        return model


def _last(model: nn.Module) -> str:
    """Return the name of the last layer."""
    layers: list[str] = [name for name, part in model.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    return layers[-1]


def _read_channels(model: nn.Module, channels: int) -> None:
    """Have the first convolution read pictures of so many channels, as if each were a share of red, green and blue.

    One channel is read by the sum of the weights of three: what a grey picture of three would give.
    """
    for name, part in model.named_modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == COLOURS:
            conv = copy.deepcopy(part)
            conv.in_channels = channels
            conv.weight = nn.Parameter(_shared(part.weight.detach(), channels))
            model.set_submodule(name, conv)
            return


def _shared(weight: Tensor, channels: int) -> Tensor:
    """Return weights [out, channels, ...] of those for three."""
    if channels == 1:
        return weight.sum(1, keepdim=True)
    turns = -(-channels // COLOURS)
    return weight.repeat(1, turns, 1, 1)[:, :channels] * (COLOURS / channels)


def _models() -> ModuleType:
    try:
        from torchvision import models
    except ModuleNotFoundError as error:
        raise Refused(
            "network torchvision: expected torchvision, which is not installed: pip install 'regtune[vision]'"
        ) from error
    module: ModuleType = models
    return module
