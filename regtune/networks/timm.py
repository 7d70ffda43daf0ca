"""Models of timm by name, as they are: `model = "resnet18"`; `regtune list --timm 'resnet*'` finds names.

Made for the data: classes, channels and, where a model takes it, the size of its pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, cast

from torch import nn

from regtune.core.errors import Refused
from regtune.core.writing import write
from regtune.networks._library import Library, Weights

DEPTH = 0.1  # any rate above 0: models have no modules for 0
OFFERED = ("img_size", "drop_path_rate")  # which some models do not take


@dataclass(frozen=True, kw_only=True)
class Timm(Library):
    """Any classifier of timm.

    Slots: `hidden` in the place of each `nn.Dropout`, and in front of the last layer, where `drop_rate` acts;
    `residual` where `drop_path_rate` makes a `DropPath`, so not in a first block; `features`. Rates of its own, also
    those in `arguments`, are set aside: a recipe says what is dropped. Weights start as timm sets them, under the
    trial's seed, or from a file; the last layer starts anew where the file is for another number of classes. Source:
    R. Wightman, "PyTorch Image Models" (2019).
    """

    set_here: ClassVar[tuple[str, ...]] = (
        "num_classes",
        "in_chans",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
        "cache_dir",
        "features_only",
    )

    @classmethod
    def models(cls) -> list[str]:
        """Return the names of all models; raises Refused where timm is not installed."""
        return list(_timm().list_models())

    @classmethod
    def tagged(cls) -> list[str]:
        """Return names as resnet18.a1_in1k."""
        return list(_timm().list_models(pretrained=True))

    def made(self, shape: tuple[int, int, int], classes: int, weights: Weights | None) -> nn.Module:
        """Return the model for pictures of `shape`, with weights if some are given."""
        given = {"img_size": shape[1:], "drop_path_rate": DEPTH, "in_chans": shape[0], **self.arguments}
        if weights is None:
            model = self._created(given | {"num_classes": classes})
        else:
            size = self._classes_of(weights)
            told = {"state_dict": dict(weights), "num_classes": size, "label_offset": 0, "custom_load": False}
            source = {"pretrained": True, "pretrained_cfg_overlay": told, "num_classes": size}
            model = self._created(given | source)
            if size != classes:
                cast(Any, model).reset_classifier(classes)
        if "drop_path_rate" not in self.arguments:
            for part in model.modules():
                if type(part).__name__ == "DropPath":
                    vars(part)["drop_prob"] = 0.0
        return model

    def published(self) -> str:
        """Return the name of the file of published weights; raises Refused where there are none."""
        found = _timm().models.get_pretrained_cfg(self.model)
        if found is None or not found.has_weights:
            raise Refused(
                f"network.weights: expected a model with published weights, given {self.model}; drop weights, or name "
                f"a file"
            )
        return f"{found.architecture}.{found.tag}.safetensors" if found.tag else f"{self.model}.safetensors"

    def download(self, target: Path) -> None:
        """Fetch the published weights into a file."""
        from safetensors.torch import save

        found = _timm().create_model(self.model, pretrained=True).state_dict()
        write(target, save({name: value.clone().contiguous() for name, value in found.items()}))

    def _created(self, given: dict[str, Any]) -> nn.Module:
        """Return the model, made with what it takes of these arguments; those of the file it has to take."""
        for name in OFFERED:
            try:
                return self._called(given)
            except TypeError as error:
                if name in self.arguments or f"unexpected keyword argument '{name}'" not in str(error):
                    raise
                given = {key: value for key, value in given.items() if key != name}
        return self._called(given)

    def _called(self, given: dict[str, Any]) -> nn.Module:
        model: nn.Module = _timm().create_model(self.model, **given)
        return model

    def _classes_of(self, weights: Weights) -> int:
        """Return for how many classes weights are, by the size of the last layer as timm calls it."""
        found = _timm().models.get_pretrained_cfg(self.model)
        named = () if found is None else found.classifier
        names = (named,) if isinstance(named, str) else named or ()
        sizes = [len(weights[f"{name}.weight"]) for name in names if f"{name}.weight" in weights]
        return sizes[0] if sizes else 1000


def _timm() -> ModuleType:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise Refused("network timm: expected timm, which is not installed: pip install 'regtune[timm]'") from error
    module: ModuleType = timm
    return module
