"""Transfer: before training the network learns to classify other pictures, or takes the weights of one that did.

Changes: the initial weights, by pretraining of all layers but the last; how far these layers move afterwards.
Formula: minimize mean CE(label, head(features(x))) on the source, or w0 = those of a file; then train as ever: w <- w0
in the first `freeze` layers, w <- w + learning_rate_factor * update in the others but the last.
Expect: better features where there are few labels and the source is alike; less to learn where layers are frozen.
Not with: a source that shares pictures with the data, or weights that were trained on those of their validation or test
split (a file does not tell: its scores are too good); frozen layers whose source is unlike.
Range: many epochs on an unlike source cost 20 points and more of a small convnet in 70 updates, none in 700.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from optuna.distributions import FloatDistribution, IntDistribution
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from regtune.core.errors import Refused
from regtune.core.knobs import knob, plain_settings
from regtune.core.records import Json
from regtune.core.rng import Rng
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import DATASETS, DataLocation, Examples, Pool, Splits, data_fingerprint, pixels
from regtune.networks import feature_count
from regtune.regularizers._base import Pretrained, Regularizer, Step
from regtune.regularizers._exported import Exported
from regtune.regularizers._layers import layers
from regtune.regularizers._pretraining import EPOCHS, features, learned
from regtune.regularizers._tasks import check_features

OTHER_CLASSES = "other_classes"
SOURCES = ("cifar10", "cifar100", "digits", "fashion_mnist", "mnist", OTHER_CLASSES, "svhn")
SOME, SIDE, BLOCK = 20, 8, 4096  # pictures that are looked for, their side then, and in how many at once
NEAR = 0.03  # how far brightnesses of one picture lie apart that was compressed anew
AFTERWARDS = ("freeze", "learning_rate_factor")  # knobs that pretraining does not depend on


@dataclass(frozen=True, kw_only=True)
class Transfer(Regularizer):
    """Pretrains the network on the training examples of another data set or of other classes, with its own last layer.

    Source pictures are resized to those of the data (bilinear); where the channels differ each gets the mean over
    those of the source. "other_classes" are those that `classes` in `[data]` leaves out, as in the paper.

    `weights` are those of a file of `regtune export`, of a network of these settings: all layers but the last, with
    running statistics and the normalization of pictures. Nothing is pretrained then (`epochs = 0`) and nothing counted:
    what the file has cost is not in the budget table.

    `freeze` counts layers in the order in which the network defines them: a layer is a matrix or a kernel with its bias
    and the normalization behind it, whose running statistics go on. The factor is that of a parameter group in torch. A
    method that moves weights and comes later in a recipe moves frozen ones too.
    Source: J. Yosinski et al., "How transferable are features in deep neural networks?" (NIPS 2014).
    """

    on_tables: ClassVar[str] = "denoising_autoencoder"

    epochs: int = knob(
        default=20, legal="[0, 100000]", space=IntDistribution(5, 40, log=True), neutral=0, meaning=EPOCHS
    )
    source: str = knob(
        default="digits", legal=SOURCES, meaning="data set to learn from, read from the folder that REGTUNE_DATA names"
    )
    weights: str = knob(
        default="",
        late=True,
        meaning="file of regtune export to begin with, below the folder that REGTUNE_DATA names or from / on",
    )
    freeze: int = knob(
        default=0, legal="[0, 10000]", neutral=0, meaning="layers, from the first on, that stay as they are"
    )
    learning_rate_factor: Number = knob(
        default=1.0,
        legal="(0, 1]",
        space=FloatDistribution(0.01, 1.0, log=True),
        neutral=1.0,
        meaning="of the learning rate in all layers but the last",
    )
    learning_rate: float = knob(default=1e-3, legal="(0, 1]", meaning="of Adam, before training")
    batch: int = knob(default=100, legal="[1, 100000]", meaning="pictures of a step, before training")

    def check(self, net: nn.Module, data: Splits) -> None:
        """Raise Refused where a layer too many is frozen, there is no source, or weights or a source do not fit."""
        most = len(layers(dict(net.named_parameters()))) - 1
        if self.freeze > most:
            raise Refused(f"freeze: expected at most {most}, the layers in front of the last, given {self.freeze}")
        if self.weights and self.epochs:
            raise Refused(f"epochs: expected 0 beside weights, given {self.epochs}; set it to 0, or leave weights out")
        if self.weights:
            self._exported().check(net)
        if not self.epochs:
            return
        check_features(net, "epochs")
        if self.source == OTHER_CLASSES:
            _others(data)
        elif _shared(data.train, _small_pool(self.source, _root())):
            raise Refused(
                f"source: expected another data set than that of the trial, given {self.source!r}, which has its "
                f"pictures: it would be pretrained on what it is tested on; name another source"
            )

    def reads(self) -> dict[str, str]:
        """Return a hash of the file of weights, or of the source."""
        if self.weights:
            return {f"weights {self.weights}": self._exported().digest}
        elsewhere = self.epochs and self.source != OTHER_CLASSES
        return {f"source {self.source}": _fingerprint(self.source, _root())} if elsewhere else {}

    def pretraining_key(self) -> Json:
        """Return the knobs of pretraining and what the source is; of weights from a file what is in it."""
        read = next(iter(self.reads().values()), None)
        if self.weights:
            return {"weights": read}
        settings = {name: value for name, value in plain_settings(self).items() if name not in AFTERWARDS}
        return settings | ({"read": read} if read is not None else {})

    def pretrain(self, net: nn.Module, data: Splits, noise: Rng) -> Pretrained:
        """Return the network that tells the classes of the source, or one with the weights of a file."""
        if self.weights:
            self._exported().load(net)
            return Pretrained(net=net, examples=0, loaded=True)
        if not self.epochs:
            return Pretrained(net=net, examples=0)
        some = next(net.parameters())
        source, classes = _others(data) if self.source == OTHER_CLASSES else (self._pool().train, self._pool().classes)
        source = source.first(len(data.train)) if data.few else source
        shape = data.train.source.shape[1:]
        x = fitted(pixels(source.first(2).images, some.dtype).to(some.device), shape)
        head = nn.Linear(feature_count(net, x), classes, device=some.device, dtype=some.dtype)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)

        def loss(x: Tensor, places: Tensor, step: Rng) -> Tensor:
            return cross_entropy(head(features(net, fitted(x, shape))), source.labels[places].to(x.device))

        examples = learned(
            loss,
            nn.ModuleList([net, head]),
            source,
            noise,
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
        )
        return Pretrained(net=net, examples=examples)

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        """Remember the weights of all layers but the last."""
        return {name: state.params[name] for layer in layers(state.params)[:-1] for name in layer}

    def project(self, state: TrainState, step: Step) -> TrainState:
        """Take back a part of the update, in frozen layers all of it."""
        moved = {}
        for number, layer in enumerate(layers(state.params)[:-1]):
            for name in layer:
                old, new = step.memory[name], state.params[name]
                # Exactly the new weights at a factor of 1. A copy: the next update changes weights in place.
                moved[name] = (
                    old.clone() if number < self.freeze else new - (1 - self.learning_rate_factor) * (new - old)
                )
        return state._replace(params={**state.params, **moved})

    def remember(self, state: TrainState, step: Step) -> Tensors:
        """Remember the weights after the update; those of frozen layers stay what they were at first."""
        trunk = layers(state.params)[:-1]
        frozen = {name: step.memory[name] for layer in trunk[: self.freeze] for name in layer}
        return frozen | {name: state.params[name].clone() for layer in trunk[self.freeze :] for name in layer}

    def _pool(self) -> Pool:
        return _read(self.source, _root())

    def _exported(self) -> Exported:
        return Exported.read(self.weights, _root())


def fitted(x: Tensor, shape: torch.Size) -> Tensor:
    """Return pictures [N, C, H, W] of another data set in the shape (C, H, W) of those of a network."""
    if x.shape[1] != shape[0]:
        x = x.mean(1, keepdim=True).expand(-1, shape[0], -1, -1)
    if x.shape[2:] != shape[1:]:
        x = interpolate(x, size=tuple(shape[1:]), mode="bilinear", antialias=True, align_corners=False)
    return x


def _others(data: Splits) -> tuple[Examples, int]:
    """Return the examples of the classes that the data leave out, and how many these are; raises Refused for none."""
    if data.others is None:
        raise Refused(
            f"source: expected data that leave classes out, given {OTHER_CLASSES!r} of data that have none; list those "
            f"to tell apart as classes in [data], with pixels as they are, or name a data set"
        )
    return data.others, int(data.others.labels.max()) + 1


def _root() -> Path | None:
    return DataLocation.from_environment().root


@functools.lru_cache(maxsize=1)  # every trial asks, and reading takes seconds
def _read(source: str, root: Path | None) -> Pool:
    """Return the examples of a source; raises Refused where they are not there."""
    try:
        return DATASETS.find(source, "source")().pool(DataLocation(root=root))
    except Refused as error:
        raise Refused(f"source: {error} (a source is read from REGTUNE_DATA alone, not from --data)") from error


@functools.lru_cache(maxsize=1)
def _fingerprint(source: str, root: Path | None) -> str:
    return data_fingerprint(_read(source, root))


def _shared(own: Examples, source: Tensor) -> bool:
    """Return whether half of some pictures are among those of a source, also with other sides, channels or compression.

    The source is given as `_small` makes it. Pictures whose pixels were permuted are not recognized.
    """
    mine = _small(own.first(SOME).images)
    near = [(source - each).abs().amax(-1).le(NEAR).any() for each in mine]
    return 2 * sum(map(bool, near)) >= len(mine)


@functools.lru_cache(maxsize=1)
def _small_pool(source: str, root: Path | None) -> Tensor:
    """Return the training pictures of a source as `_small` makes them."""
    return torch.cat([_small(images) for images in _read(source, root).train.batches(BLOCK)])


def _small(images: Tensor) -> Tensor:
    """Return pictures [N, C, H, W] as grey ones of SIDE x SIDE in [0, 1], [N, SIDE * SIDE]."""
    grey = pixels(images.cpu(), torch.float32).mean(1, keepdim=True)
    return interpolate(grey, size=(SIDE, SIDE), mode="area").flatten(1)
