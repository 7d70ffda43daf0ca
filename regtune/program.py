"""The training step as pure functions of tensors, for one trial or, lifted by vmap, for a whole lane.

With a member axis, every tensor of the state, the knobs, the seeds and the batch has one leading
dimension more; the functions are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from regtune.networks import Slot
from regtune.noise import Noise
from regtune.optimizers import Optimizer
from regtune.recipe import Recipe, with_numbers
from regtune.regularizers import Forward, Step
from regtune.state import State, Tensors

Tree = TypeVar("Tree")
Knobs = dict[str, Any]  # {"optimizer": {name: tensor}, "recipe": [{name: tensor}, ...]}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where training is: the number of the step from 0, and the share of the budget that is done."""

    step: int
    progress: float


@dataclass(frozen=True, kw_only=True)
class Program:
    """What all members of a lane share: the module, the kinds of methods, the optimizer's kind."""

    net: nn.Module
    recipe: Recipe
    optimizer: Optimizer
    device: torch.device
    lifted: bool

    def step(
        self, state: State, knobs: Knobs, seed: int | Tensor, moment: Moment, x: Tensor, y: Tensor
    ) -> tuple[State, Tensor]:
        """Return the state after one step, and the objective before it (0-dim, or [members]).

        x [N, C, H, W] in [0, 1], y [N, classes]. Buffers are updated in place by the network.
        """
        params = {name: p.detach().requires_grad_() for name, p in state.params.items()}
        objective = self._lift(self._objective, moment)(params, state.buffers, knobs, seed, x, y)
        grads = torch.autograd.grad(objective.sum(), list(params.values()), allow_unused=True, materialize_grads=True)
        with torch.no_grad():
            state = self._lift(self._update, moment)(state, dict(zip(params, grads, strict=True)), knobs, seed)
        return state, objective.detach()

    def logits(self, params: Tensors, buffers: Tensors, knobs: Knobs, x: Tensor) -> Tensor:
        """Return the logits in eval mode; without a member axis in x, all members see the same x."""
        forward = torch.vmap(self._predict, in_dims=(0, 0, 0, None)) if self.lifted else self._predict
        with torch.no_grad():
            result: Tensor = forward(params, buffers, knobs, x)
        return result

    def learning_rates(self, knobs: Knobs, progress: float) -> list[float]:
        """Return each member's learning rate at a share of the budget."""

        def rate(knobs: Knobs) -> Tensor:
            return torch.as_tensor(knobs["optimizer"]["learning_rate"] * self._filled(knobs).schedule(progress))

        rates = torch.vmap(rate)(knobs) if self.lifted else rate(knobs)
        return [value.item() for value in rates.reshape(-1)]

    def _lift(self, function: Callable[..., Any], moment: Moment) -> Callable[..., Any]:
        def at_moment(*arguments: Any) -> Any:
            return function(moment, *arguments)

        return torch.vmap(at_moment) if self.lifted else at_moment

    def _filled(self, knobs: Knobs) -> Recipe:
        methods = zip(self.recipe.methods, knobs["recipe"], strict=True)
        return Recipe(tuple((site, with_numbers(m, tensors)) for (site, m), tensors in methods))

    def _now(self, moment: Moment, recipe: Recipe, knobs: Knobs, seed: int | Tensor) -> Step:
        noise = Noise(seed=seed, step=moment.step, prefix="step/", device=self.device)
        rate = knobs["optimizer"]["learning_rate"] * recipe.schedule(moment.progress)
        return Step(noise=noise, progress=moment.progress, learning_rate=rate)

    def _objective(
        self,
        moment: Moment,
        params: Tensors,
        buffers: Tensors,
        knobs: Knobs,
        seed: int | Tensor,
        x: Tensor,
        y: Tensor,
    ) -> Tensor:
        recipe = self._filled(knobs)
        step = self._now(moment, recipe, knobs, seed)
        x, y = recipe.augment(x, y, step)
        taps: Tensors = {}

        def bend(signal: Any, slot: Slot) -> Any:
            if slot.kind != "residual":
                taps[slot.label] = signal
            return recipe.bend(signal, slot, step)

        logits = functional_call(self.net, (params, buffers), (x, bend))
        likelihood = -(y * logits.log_softmax(-1)).sum(-1).mean()
        seen = Forward(**vars(step), params=params, inputs=x, targets=y, logits=logits, taps=taps)
        return torch.as_tensor(likelihood + recipe.penalty(seen))

    def _update(self, moment: Moment, state: State, grads: Tensors, knobs: Knobs, seed: int | Tensor) -> State:
        recipe = self._filled(knobs)
        step = self._now(moment, recipe, knobs, seed)
        optimizer = with_numbers(self.optimizer, knobs["optimizer"])
        params, moments = optimizer.update(
            state.params, grads, state.moments, learning_rate=step.learning_rate, step=moment.step
        )
        return recipe.project(State(params, state.buffers, moments), step)

    def _predict(self, params: Tensors, buffers: Tensors, knobs: Knobs, x: Tensor) -> Tensor:
        recipe = self._filled(knobs)
        noise = Noise(seed=0, prefix="eval/", device=self.device)
        step = Step(noise=noise, progress=1.0, learning_rate=0.0, training=False)
        logits: Tensor = functional_call(
            self.net, (params, buffers), (x, lambda signal, slot: recipe.bend(signal, slot, step))
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
