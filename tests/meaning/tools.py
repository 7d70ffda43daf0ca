"""What the tests of meaning share: a moment of training, given draws, and objectives with known minima."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from regtune.core.knobs import knobs
from regtune.core.records import Trial
from regtune.core.rng import Rng
from regtune.core.state import TrainState
from regtune.data import Examples
from regtune.networks import Branch, Slot
from regtune.networks._base import SlotKind
from regtune.optimizers import SGD, Optimizer
from regtune.regularizers import Forward, Regularizer, Step
from regtune.training.build import load_data
from regtune.training.lane import Lane
from regtune.training.objective import Arithmetic, Objective
from regtune.training.recipe import Recipe
from regtune.training.train_step import Knobs, Stepped, TrainStep, Update
from tests.conftest import small_trial, trained

CPU = torch.device("cpu")
BLANK = torch.zeros(())
C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Given(Rng):
    """Noise whose draws are given by site; at other sites it is real."""

    seed: int | Tensor = 11
    draws: Mapping[str, Tensor] = field(default_factory=dict)

    def uniform(self, site: str, shape: Sequence[int] = ()) -> Tensor:
        return self.draws[site].expand(tuple(shape)) if site in self.draws else super().uniform(site, shape)

    def below(self, count: int, site: str, shape: Sequence[int] = ()) -> Tensor:
        return self.draws[site].expand(tuple(shape)) if site in self.draws else super().below(count, site, shape)

    def beta(self, site: str, a: float | Tensor, b: float | Tensor, shape: Sequence[int] = ()) -> Tensor:
        return self.draws[site].expand(tuple(shape)) if site in self.draws else super().beta(site, a, b, shape)


def step(number: int = 0, *, training: bool = True, **fields: Any) -> Step:
    """Return what a hook sees at a step of a training with seed 11."""
    now: dict[str, Any] = {"noise": Rng(seed=11, step=number), "progress": 0.0, "learning_rate": 0.1}
    return Step(**(now | {"training": training} | fields))


def given(**draws: Tensor) -> Step:
    """Return what a hook sees at a step with given draws."""
    return step(noise=Given(draws=draws))


def seen(**fields: Any) -> Forward:
    """Return what a penalty sees; what is not said is blank."""
    blank = {"params": {}, "inputs": BLANK, "targets": BLANK, "logits": BLANK, "taps": {}, "features": lambda x: x}
    return Forward(**(vars(step()) | blank | fields))


def slot(kind: SlotKind, number: int = 1, count: int = 1) -> Slot:
    made = Slot(kind)
    made.number, made.count = number, count
    return made


def branch(module: nn.Module) -> Branch:
    return Branch(module=module, run=module)


def exact(value: C) -> C:
    """Return a method or optimizer whose float knobs are float64 tensors: torch takes plain ones for float32."""
    doubles = {
        name: torch.tensor(getattr(value, name), dtype=torch.float64)
        for name, k in knobs(type(value)).items()
        if k.kind is float
    }
    return dataclasses.replace(value, **doubles)  # type: ignore[type-var]  # methods and optimizers are dataclasses


class Valley(nn.Module):
    """A network whose training objective is 1/2 (w - optimum)' curvature (w - optimum) + 1.

    With logits 0 and log(exp(q) - 1) the negative log-likelihood of the first class is q, so methods can be
    tried on any positive function, through the very program that trains. `bias` is a parameter without use.
    """

    def __init__(self, curvature: Tensor, optimum: Tensor, start: Tensor | None = None) -> None:
        super().__init__()
        self.curvature, self.optimum = curvature.double(), optimum.double()
        self.weight = nn.Parameter((torch.zeros_like(optimum) if start is None else start).double()[None].clone())
        self.bias = nn.Parameter(torch.full((2,), 100.0, dtype=torch.float64))

    def forward(self, x: Tensor, bend: Callable[[Any, Slot], Any]) -> Tensor:
        away = self.weight[0] - self.optimum
        q = (away @ self.curvature @ away) / 2 + 1
        return torch.stack([torch.zeros_like(q), torch.expm1(q).log()])[None]


def descended(
    net: nn.Module, methods: Sequence[Regularizer], steps: int, optimizer: Optimizer, *, noise_seed: int = 1
) -> Iterator[Stepped]:
    """Yield what a program with exact knobs makes of a network on one fixed example of the first class."""
    x, y = torch.zeros(1, 1, 1, 1, dtype=torch.float64), torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    yield from stepped(net, methods, steps, optimizer, x, y, noise_seed=noise_seed)


def stepped(
    net: nn.Module,
    methods: Sequence[Regularizer],
    steps: int,
    optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
    *,
    noise_seed: int = 1,
) -> Iterator[Stepped]:
    """Yield the state after each of `steps` updates on one batch, with knobs as float64 tensors."""
    methods, optimizer = [exact(method) for method in methods], exact(optimizer)
    recipe = Recipe.of(methods)
    params = {name: p.detach().clone() for name, p in net.named_parameters()}
    buffers = {name: b.detach().clone() for name, b in net.named_buffers()}
    state = TrainState(params, buffers, optimizer.start(params), {})
    state = state._replace(memory=recipe.begin(state, load_data(small_trial())))
    train_step = TrainStep(
        objective=Objective(net=net, lifted=False, arithmetic=Arithmetic()),
        recipe=recipe,
        optimizer=optimizer,
        device=CPU,
    )
    settings: Knobs = {"optimizer": {"learning_rate": optimizer.learning_rate}, "recipe": [{} for _ in methods]}
    for number in range(steps):
        result = train_step.step(state, settings, noise_seed, Update(step=number, progress=number / steps), x, y)
        state = result.state
        yield result


def minimum(net: Valley, methods: Sequence[Regularizer], *, rate: float, steps: int, momentum: float = 0.0) -> Tensor:
    """Return the weights [n] that gradient descent ends at."""
    *_, last = descended(net, methods, steps, SGD(learning_rate=rate, momentum=momentum))
    return last.state.params["weight"][0]


def states(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> list[TrainState]:
    """Return a copy of the state after each update of a trial."""
    noted: list[TrainState] = []
    original = TrainStep.step

    def spy(self: TrainStep, *arguments: Any) -> Stepped:
        result = original(self, *arguments)
        noted.append(copy.deepcopy(result.state))
        return result

    with monkeypatch.context() as patch:
        patch.setattr(TrainStep, "step", spy)
        trained(trial)
    return noted


class Unbent(nn.Module):
    """A network of regtune's as torch's own tools expect it: called with inputs alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x, lambda signal, slot: branch(signal) if slot.kind == "residual" else signal)
        return logits


def network(lane: Lane) -> nn.Module:
    """Return a copy of a lane's network with the weights and buffers that it has now."""
    net = copy.deepcopy(lane.train_step.net)
    net.load_state_dict({**lane.state.params, **lane.state.buffers})
    return net


def batches(trial: Trial, epoch: int) -> list[Examples]:
    """Return the batches of an epoch, in a trial's order."""
    train = load_data(trial).train
    order = Rng(seed=trial.seed, step=epoch, prefix="order/").permutation("epoch", len(train))
    return [train.take(index) for index in torch.split(order, trial.batch)]


def ordinary(
    trial: Trial,
    make: Callable[[nn.Module], torch.optim.Optimizer],
    after: Callable[[nn.Module, int], object] = lambda net, update: None,
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor] = lambda net, x, y: cross_entropy(net(x), y),
) -> Unbent:
    """Return the network of a trial, trained by an ordinary PyTorch loop in float64, without its recipe.

    It starts at the same weights and sees the same batches; `after` is called after each update (from 1).
    """
    net = Unbent(network(Lane((dataclasses.replace(trial, recipe=()),)))).double().train()
    optimizer, update = make(net), 0
    for epoch in range(1, trial.epochs + 1):
        for batch in batches(trial, epoch):
            optimizer.zero_grad()
            torch.autograd.backward(loss(net, batch.images.double(), batch.labels))
            optimizer.step()
            update += 1
            after(net, update)
    return net


def in_float64(learning_rate: float = 0.125, momentum: float = 0.875, **changes: Any) -> Trial:
    """Return a small trial in float64; its knobs pass through float32, which has these numbers exactly."""
    settings = {"name": "sgd", "learning_rate": learning_rate, "momentum": momentum, "nesterov": False}
    return dataclasses.replace(small_trial(dtype="float64", epochs=3), optimizer=settings, **changes)


def split_groups(net: nn.Module, **of_weights: float) -> list[dict[str, Any]]:
    """Return torch's parameter groups: weights with these settings, biases and normalization without."""
    params = list(net.parameters())
    free = dict.fromkeys(of_weights, 0.0)
    weights, others = [p for p in params if p.ndim > 1], [p for p in params if p.ndim < 2]
    return [{"params": weights, **of_weights}, {"params": others, **free}]
