"""The training step as pure functions of tensors, for one trial or, lifted by vmap, for a whole lane.

With a member axis, every tensor of the state, the knobs, the seeds and the batch has one leading
dimension more; the functions are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.utils._pytree import tree_map

from regtune.networks import Branch, Slot
from regtune.noise import Noise
from regtune.normalization import retaken
from regtune.optimizers import Optimizer
from regtune.recipe import Recipe, Steps, with_numbers
from regtune.regularizers import Step
from regtune.state import State, Tensors

Tree = TypeVar("Tree")
Knobs = dict[str, Any]  # {"optimizer": {name: tensor}, "recipe": [{name: tensor}, ...]}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where training is: the number of the step from 0, the share of the budget that is done, and
    whether the step is the last of an epoch.
    """

    step: int
    progress: float
    ends_epoch: bool = False


class Work(NamedTuple):
    """What is noted down during a step: labels of the branches that ran, objectives at each gradient."""

    branches: list[str]
    gradients: list[Tensor]


class Stepped(NamedTuple):
    """The state after a step, the objective before it (0-dim, or [members]), and what it took: residual
    branches that were run, gradients that were evaluated.
    """

    state: State
    objective: Tensor
    branches: int
    gradients: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """What all members of a lane share: the module, the kinds of methods, the optimizer's kind."""

    net: nn.Module
    recipe: Recipe
    optimizer: Optimizer
    device: torch.device
    lifted: bool

    def step(self, state: State, knobs: Knobs, seed: int | Tensor, moment: Moment, x: Tensor, y: Tensor) -> Stepped:
        """Take one step: x [N, C, H, W] in [0, 1], y [N, classes]. The network updates its buffers in place."""
        work = Work(branches=[], gradients=[])
        one = functools.partial(self._step, moment, work)
        state, objective = (torch.vmap(one) if self.lifted else one)(state, knobs, seed, x, y)
        return Stepped(state, objective, len(work.branches), len(work.gradients))

    def logits(self, params: Tensors, buffers: Tensors, knobs: Knobs, x: Tensor) -> Tensor:
        """Return the logits in eval mode; without a member axis in x, all members see the same x."""
        forward = torch.vmap(self._predict, in_dims=(0, 0, 0, None)) if self.lifted else self._predict
        with torch.no_grad():
            result: Tensor = forward(params, buffers, knobs, x)
        return result

    def evaluated(
        self, state: State, knobs: Knobs, progress: float, batches: Sequence[Tensor]
    ) -> tuple[Tensors, Tensors]:
        """Return the weights and buffers that the recipe has evaluated and kept.

        `batches` are training images [N, C, H, W] for those methods that take normalization
        statistics anew; they are looked at by no other.
        """

        def one(state: State, knobs: Knobs) -> tuple[Tensors, Tensors]:
            recipe = self._filled(knobs)
            now = Step(noise=self._still(), progress=progress, learning_rate=0.0, training=False)
            steps = recipe.steps(now, state.memory, plain=None if self.lifted else self.recipe)
            statistics = functools.partial(retaken, self.net, state.buffers, batches)
            return recipe.evaluate(state.params, state.buffers, statistics, steps)

        with torch.no_grad():
            result: tuple[Tensors, Tensors] = (torch.vmap(one) if self.lifted else one)(state, knobs)
        return result

    def learning_rates(self, knobs: Knobs, progress: float) -> list[float]:
        """Return each member's learning rate at a share of the budget."""

        def rate(knobs: Knobs) -> Tensor:
            return torch.as_tensor(knobs["optimizer"]["learning_rate"] * self._filled(knobs).schedule(progress))

        rates = torch.vmap(rate)(knobs) if self.lifted else rate(knobs)
        return [value.item() for value in rates.reshape(-1)]

    def _still(self) -> Noise:
        """Return the noise of evaluation, the same for every trial; no method of the shelf draws from it."""
        return Noise(seed=0, prefix="eval/", device=self.device)

    def _filled(self, knobs: Knobs) -> Recipe:
        methods = zip(self.recipe.methods, knobs["recipe"], strict=True)
        return Recipe(tuple((site, with_numbers(m, tensors)) for (site, m), tensors in methods))

    def _step(
        self, moment: Moment, work: Work, state: State, knobs: Knobs, seed: int | Tensor, x: Tensor, y: Tensor
    ) -> tuple[State, Tensor]:
        recipe = self._filled(knobs)
        now = Step(
            noise=Noise(seed=seed, step=moment.step, prefix="step/", device=self.device),
            progress=moment.progress,
            learning_rate=knobs["optimizer"]["learning_rate"] * recipe.schedule(moment.progress),
            ends_epoch=moment.ends_epoch,
        )
        steps = recipe.steps(now, state.memory, plain=None if self.lifted else self.recipe)

        def gradient(params: Tensors) -> Tensors:
            # What is asked for beside the gradient at the weights that train leaves no trace in the buffers.
            buffers = {n: b.clone() for n, b in state.buffers.items()} if work.gradients else state.buffers
            grads, objective = self._slope(
                functools.partial(self._objective, recipe, steps, work, x, y), params, buffers
            )
            work.gradients.append(objective)
            return grads

        grads = recipe.descend(gradient, steps)(state.params)
        with torch.no_grad():
            optimizer = with_numbers(self.optimizer, knobs["optimizer"])
            params, moments = optimizer.update(
                state.params,
                grads,
                state.moments,
                learning_rate=now.learning_rate,
                step=moment.step,
                lane=self.lifted,
            )
            updated = state._replace(params=params, moments=moments)
            return recipe.project(updated, steps), work.gradients[0]

    def _slope(
        self, objective: Callable[[Tensors, Tensors], Tensor], at: Tensors, buffers: Tensors
    ) -> tuple[Tensors, Tensor]:
        """Return gradients (0 for what the objective does not use) and the objective itself."""
        if self.lifted:  # ordinary autograd does not work inside vmap; outside of it, it costs half as much
            grads, value = grad_and_value(objective)(at, buffers)
            return grads, value
        params = {name: p.detach().requires_grad_() for name, p in at.items()}
        value = objective(params, buffers)
        found = torch.autograd.grad(value, list(params.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(params, found, strict=True)), value.detach()

    def _objective(
        self, recipe: Recipe, steps: Steps, work: Work, x: Tensor, y: Tensor, params: Tensors, buffers: Tensors
    ) -> Tensor:
        x, y = recipe.augment(x, y, steps)
        taps: Tensors = {}

        def bend(signal: Any, slot: Slot) -> Any:
            if isinstance(signal, Branch):
                return recipe.bend(signal.counted(work.branches, slot.label), slot, steps)
            taps[slot.label] = signal
            # A step aside from the tap: a penalty's gradient is then added to that of all else together,
            # whatever a recipe bends here, and not to its parts in another order.
            return recipe.bend(signal.view_as(signal), slot, steps)

        logits = functional_call(self.net, (params, buffers), (x, bend))
        likelihood = -(y * logits.log_softmax(-1)).sum(-1).mean()
        seen = {"params": params, "inputs": x, "targets": y, "logits": logits, "taps": taps}
        return torch.as_tensor(likelihood + recipe.penalty(steps, seen))

    def _predict(self, params: Tensors, buffers: Tensors, knobs: Knobs, x: Tensor) -> Tensor:
        recipe = self._filled(knobs)
        steps = recipe.steps(Step(noise=self._still(), progress=1.0, learning_rate=0.0, training=False), {})
        logits: Tensor = functional_call(
            self.net, (params, buffers), (x, lambda signal, slot: recipe.bend(signal, slot, steps))
        )
        return logits


def stacked(trees: list[Tree]) -> Tree:
    """Return one tree whose tensors have a leading member axis."""
    result: Tree = tree_map(lambda *leaves: torch.stack(leaves), *trees)
    return result


def member(tree: Tree, place: int) -> Tree:
    """Return a copy of one member's part of a stacked tree."""
    result: Tree = tree_map(lambda leaf: leaf[place].clone(), tree)
    return result
