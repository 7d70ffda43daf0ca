"""The training objective and its gradient: the network, the likelihood of the targets, the recipe's penalties."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from regtune.core.errors import Refused
from regtune.core.state import Tensors
from regtune.networks import Bend, Branch, Slot, gives_features
from regtune.regularizers import Step
from regtune.training import shapes
from regtune.training.balance import WEIGHTS
from regtune.training.recipe import Recipe, Steps

R = TypeVar("R")
Batch = tuple[Tensor, Tensor, Tensors]  # inputs, targets, and by name what else the objective takes


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """How the network is computed: in bfloat16 where autocast allows it, with pictures in channels-last order,
    compiled.
    """

    autocast: bool = False
    channels_last: bool = False
    compiled: bool = False


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The objective of a trial; with `lifted`, of one member of a lane inside vmap.

    Compiled is the objective of a trial alone, and of a lane all of its step but augmentation: see `TrainStep.step`.
    """

    net: nn.Module
    lifted: bool
    arithmetic: Arithmetic

    def slope(
        self,
        recipe: Recipe,
        steps: Steps,
        ran: list[str],
        batch: Batch,
        params: Tensors,
        buffers: Tensors,
    ) -> tuple[Tensors, Tensor]:
        """Return gradients (0 for what the objective does not use) and the objective itself (0-dim).

        `batch` is (inputs [N, C, H, W], targets [N, classes], by name what penalties see beside them,
        and the weights [N] of examples where these have any) as augmented. The
        network updates `buffers` in place; the labels of residual branches that are run go into `ran`.
        """
        if self.lifted:  # ordinary autograd does not work inside vmap; outside of it, it costs half as much
            objective = functools.partial(self._value, recipe, steps, ran, batch)
            grads, value = grad_and_value(objective)(params, buffers)
            return grads, value
        leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
        value = self._either(recipe, steps, ran, batch, leaves, buffers)
        found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(leaves, found, strict=True)), value.detach()

    def forward(self, params: Tensors, buffers: Tensors, x: Tensor, bend: Bend) -> Tensor:
        """Return logits [N, classes] of inputs [N, C, H, W], in the type of the inputs."""
        if self.arithmetic.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        bf16 = torch.autocast(x.device.type, torch.bfloat16) if self.arithmetic.autocast else contextlib.nullcontext()
        with bf16:
            answer = functional_call(self.net, (params, buffers), (x, bend))
        logits = shapes.logits(answer, x.shape[0])
        return logits.to(x.dtype)

    @functools.cached_property
    def _either(self) -> Callable[..., Tensor]:
        return one_graph(self._value) if self.arithmetic.compiled else self._value

    def _value(
        self, recipe: Recipe, steps: Steps, ran: list[str], batch: Batch, params: Tensors, buffers: Tensors
    ) -> Tensor:
        x, y, beside = batch
        taps: Tensors = {}
        own: list[Tensor] = []  # the features of this pass

        def bend(signal: Any, slot: Slot) -> Any:
            if isinstance(signal, Branch):
                return recipe.bend(signal.counted(ran, slot.label), slot, steps)
            if not slot.inner and slot.kind != "features":
                taps[slot.label] = signal
            # A step aside from the tap: a penalty's gradient is then added to that of all else together,
            # whatever a recipe bends here, and not to its parts in another order.
            bent = recipe.bend(signal.view_as(signal), slot, steps)
            if gives_features(slot):
                own.append(bent)
            return bent

        logits = self.forward(params, buffers, x, bend)
        if logits.shape != y.shape:  # one class too few might be spread over all without a word
            raise Refused(
                f"network: expected logits for {y.shape[-1]} classes, those of the data, given {logits.shape[-1]}; "
                f"build is told the number"
            )
        losses = -(y * logits.log_softmax(-1)).sum(-1)
        likelihood = (losses * beside[WEIGHTS] if WEIGHTS in beside else losses).mean()

        def features(inputs: Tensor) -> Tensor:
            if inputs is x:
                return own[0].flatten(1).to(x.dtype)
            return self._features(recipe, steps, params, buffers, inputs)

        seen = {"params": params, "inputs": x, "targets": y, "logits": logits, "taps": taps, "features": features}
        seen |= {name: value for name, value in beside.items() if name != WEIGHTS}
        return torch.as_tensor(likelihood + recipe.penalty(steps, seen))

    def _features(self, recipe: Recipe, steps: Steps, params: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """Return the features [N, d] of inputs [N, C, H, W]; buffers stay as they are."""
        found: list[Tensor] = []

        def bend(signal: Any, slot: Slot) -> Any:
            bent = recipe.bend(signal, slot, steps)
            if gives_features(slot):
                found.append(bent)
            return bent

        self.forward(params, {name: buffer.clone() for name, buffer in buffers.items()}, x, bend)
        return found[0].flatten(1).to(x.dtype)


def in_tensors(now: Step) -> Step:
    """Return a step whose numbers are tensors: a compiled program takes Python's for constants of its own."""
    noise = now.noise

    def filled(number: float, dtype: torch.dtype) -> Tensor:  # a copy from the host would wait for a device
        return torch.full((), number, dtype=dtype, device=noise.device)

    seed, step = filled(int(noise.seed), torch.int32), filled(int(noise.step), torch.int32)
    return dataclasses.replace(
        now,
        noise=dataclasses.replace(noise, seed=seed, step=step),
        progress=filled(float(now.progress), torch.float32),
        ends_epoch=False,
    )


MOST_VARIANTS = 1024  # compiled programs of one function in a process: a worker trains many trials


def one_graph(function: Callable[..., R]) -> Callable[..., R]:
    """Return a function compiled by `torch.compile` without graph breaks; the first call takes a minute.

    On a machine that has compiled it before it takes seconds: the compiler keeps what it made on disk.
    """
    compiled = torch.compile(function, fullgraph=True, dynamic=False)

    def call(*arguments: Any) -> R:
        with torch._dynamo.config.patch(recompile_limit=MOST_VARIANTS, accumulated_recompile_limit=MOST_VARIANTS):
            return compiled(*arguments)

    return call
