"""What a user might bring along that draws random numbers of its own, or is not what regtune expects."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from regtune.core.knobs import knob
from regtune.core.state import Number, Tensors, TrainState
from regtune.data import DataLocation, Dataset, Examples, Pool, Splits
from regtune.networks import Bend, Network, Normalize, Slot
from regtune.regularizers import Forward, Regularizer, Step

OWN = np.random.default_rng(0)


@dataclass(frozen=True, kw_only=True)
class Wild(Network):
    """A hidden layer with something behind it that the user has chosen, and a head that may be wrong."""

    inside: str = knob(
        default="none", legal=("none", "dropout", "dropout_always", "numpy", "random", "own"), meaning="noise"
    )
    batch_norm: bool = knob(default=False, meaning="BatchNorm")
    returns: str = knob(
        default="logits",
        legal=("logits", "tuple", "flat", "one_class", "deep", "softmax", "log_softmax"),
        meaning="what comes",
    )

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        return _Wild(self, shape, classes)


class _Wild(nn.Module):
    def __init__(self, value: Wild, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.value, self.hidden = value, Slot("hidden")
        self.normalize, self.layer = Normalize(shape[0]), nn.Linear(math.prod(shape), 12)
        self.norm = nn.BatchNorm1d(12) if value.batch_norm else nn.Identity()
        self.head = nn.Linear(12, 1 if value.returns == "one_class" else classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor, bend: Bend) -> Any:
        h = self.norm(self.layer(self.normalize(x).flatten(1))).relu()
        h = self.noisy(self.hidden(h, bend))
        logits = self.head(h)
        ways = {"tuple": (logits, h), "flat": logits.flatten(), "deep": logits[:, None]}
        ways |= {"softmax": logits.softmax(1), "log_softmax": logits.log_softmax(1)}
        return ways.get(self.value.returns, logits)

    def noisy(self, h: Tensor) -> Tensor:
        match self.value.inside:
            case "dropout":
                return self.dropout(h)  # type: ignore[no-any-return]  # modules return anything
            case "dropout_always":
                return functional.dropout(h)
            case "numpy" if self.training:
                return h * float(np.random.rand())
            case "random" if self.training:
                return h * random.random()
            case "own" if self.training:
                return h * float(OWN.random())
        return h


@dataclass(frozen=True, kw_only=True)
class Pretrained(Network):
    """A network that loads its weights, as from a file."""

    def build(self, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
        net = _Wild(Wild(), shape, classes)
        generator = torch.Generator().manual_seed(5)
        net.load_state_dict({n: torch.rand(v.shape, generator=generator) for n, v in net.state_dict().items()})
        return net


@dataclass(frozen=True, kw_only=True)
class PixelNoise(Regularizer):
    """Adds noise to pictures, drawn from somewhere; `extra` draws more of it than it uses."""

    source: str = knob(default="torch", legal=("torch", "numpy", "random", "own", "step"), meaning="where from")

    def augment(self, x: Tensor, y: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        draws = {
            "torch": lambda: torch.rand_like(x),
            "numpy": lambda: torch.from_numpy(np.random.rand(*x.shape)).to(x.dtype),
            "random": lambda: torch.full_like(x, random.random()),
            "own": lambda: torch.full_like(x, float(OWN.random())),
            "step": lambda: step.noise.uniform("pixels", x.shape),
        }
        return (0.7 * x + 0.3 * draws[self.source]()).clamp(0, 1), y


@dataclass(frozen=True, kw_only=True)
class NoisyStart(Regularizer):
    """Remembers something that it draws before the first step, and moves the weights by it."""

    def begin(self, state: TrainState, data: Splits) -> Tensors:
        return {"draw": torch.rand(()) + float(np.random.rand()) + random.random()}

    def project(self, state: TrainState, step: Step) -> TrainState:
        return state._replace(params={name: p + 1e-3 * step.memory["draw"] for name, p in state.params.items()})


@dataclass(frozen=True, kw_only=True)
class Wrong(Regularizer):
    """Gets something wrong."""

    what: str = knob(
        default="augment",
        legal=("augment", "targets", "bend", "penalty", "signature", "raises", "few", "stop", "nan", "infinite"),
        meaning="what is wrong",
    )

    def augment(self, x: Tensor, y: Tensor, step: Step) -> Any:
        if self.what == "few" and len(x) < 12:
            raise RuntimeError("at least twelve")
        if self.what == "raises":
            raise KeyError("strength")
        return {"augment": x, "targets": (x, y.argmax(1)), "signature": (x, y)}.get(self.what, (x, y))

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        return x.mean(0, keepdim=True) if self.what == "bend" else x

    def penalty(self, step: Forward) -> Number:
        if self.what == "penalty":
            return step.logits.square().mean(0)
        return {"nan": math.nan, "infinite": math.inf}.get(self.what, 0.0) * step.logits.square().mean()

    def stop(self, epochs: Any) -> bool:
        if self.what == "stop":
            return bool(epochs[-1].accuracy)
        return False


@dataclass(frozen=True, kw_only=True)
class WrongSignature(Regularizer):
    """A hook that forgets the step."""

    def augment(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]  # that is the mistake
        return x, y


@dataclass(frozen=True, kw_only=True)
class Hookless(Regularizer):
    """Has a method that is called like no hook, and so is never called."""

    def regularization_loss(self, step: Forward) -> Number:
        return step.logits.square().mean()


class Moving(Examples):
    """Examples whose pictures are shifted whenever they are looked at."""

    def pictures(self, places: Tensor) -> Tensor:
        return super().pictures(places).roll(int(torch.randint(0, 4, ())), -1)


@dataclass(frozen=True, kw_only=True)
class Homemade(Dataset):
    """Pictures drawn from numpy's global state, split by Python's, augmented by torch's."""

    scale: float = knob(default=1.0, legal="[0, 1000]", meaning="the largest value")
    kind: str = knob(default="float32", legal=("float32", "uint8", "int64"), meaning="type of the pixels")
    moving: bool = knob(default=False, meaning="whether pictures are augmented by the data set itself")

    def pool(self, place: DataLocation) -> Pool:
        labels = torch.arange(120) % 4
        images = torch.from_numpy(np.random.rand(120, 1, 4, 4)) * 0.5 + labels[:, None, None, None] * 0.125
        return Pool(train=Examples.of(images=self._typed(images), labels=labels), test=None, classes=4)

    def split(self, pool: Pool) -> Splits:
        places = list(range(120))
        random.shuffle(places)
        order = torch.tensor(places)
        parts = [pool.train.take(part) for part in torch.split(order, [48, 32, 40])]
        if self.moving:
            parts[0] = Moving(source=parts[0].source, index=parts[0].index, labels=parts[0].labels)
        return Splits(train=parts[0], validation=parts[1], test=parts[2], classes=4)

    def _typed(self, images: Tensor) -> Tensor:
        if self.kind == "float32":
            return (images * self.scale).float()
        return (images * 255).to(getattr(torch, self.kind))
