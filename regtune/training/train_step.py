"""The training step as functions of tensors, for one trial or, lifted by vmap, for a whole lane.

With a member axis, every tensor of the state, the knobs, the seeds and the batch has one leading
dimension more; the functions are the same.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from regtune.core.rng import Rng
from regtune.core.state import Number, Tensors, TrainState
from regtune.networks import Bend, spared
from regtune.optimizers import Optimizer
from regtune.regularizers import Step
from regtune.training import shapes
from regtune.training.balance import WEIGHTS
from regtune.training.batch_norm import recomputed_statistics
from regtune.training.objective import Batch, Objective, in_tensors, one_graph
from regtune.training.recipe import Recipe, Steps, with_numbers
from regtune.training.step_timer import StepTimer

UNLABELLED = "unlabelled"  # what penalties see it as
Knobs = dict[str, Any]  # {"optimizer": {name: tensor}, "recipe": [{name: tensor}, ...]}


@dataclass(frozen=True, kw_only=True)
class Update:
    """Where training is: the number of the step from 0, the share of the budget that is done, and
    whether the step is the last of an epoch.

    In a lane of several `step` (int32) and `progress` (float32) are tensors [members]: each is where it is.
    """

    step: int | Tensor
    progress: Number
    ends_epoch: bool = False

    @classmethod
    def beside(cls, updates: Sequence[Update], device: torch.device) -> Update:
        """Return the updates of several members, which end their epochs together."""
        return cls(
            step=torch.tensor([update.step for update in updates], dtype=torch.int32, device=device),
            progress=torch.tensor([update.progress for update in updates], dtype=torch.float32, device=device),
            ends_epoch=updates[0].ends_epoch,
        )


class Work(NamedTuple):
    """What is noted down during a step: labels of the branches that ran, objectives at each gradient."""

    branches: list[str]
    gradients: list[Tensor]


class Seen(NamedTuple):
    """What there is to see of a step: the recipe filled with its numbers, what each of its methods sees, the state
    before it, the optimizer filled with its numbers.
    """

    recipe: Recipe
    now: Step
    steps: Steps
    state: TrainState
    optimizer: Optimizer


class Stepped(NamedTuple):
    """The state after a step, the objective before it (0-dim, or [members]), and what it took: residual
    branches that were run, gradients that were evaluated.
    """

    state: TrainState
    objective: Tensor
    branches: int
    gradients: int


@dataclass(frozen=True, kw_only=True)
class TrainStep:
    """What all members of a lane share: the module, the kinds of methods, the optimizer's kind."""

    objective: Objective
    recipe: Recipe
    optimizer: Optimizer
    device: torch.device

    @property
    def net(self) -> nn.Module:
        """The module; its own weights are never used."""
        return self.objective.net

    @property
    def lifted(self) -> bool:
        """Whether there is a member axis."""
        return self.objective.lifted

    def alone(self, recipe: Recipe) -> TrainStep:
        """Return the step for one member by itself, whose recipe has these plain numbers."""
        return dataclasses.replace(self, objective=dataclasses.replace(self.objective, lifted=False), recipe=recipe)

    def step(
        self,
        state: TrainState,
        knobs: Knobs,
        seed: int | Tensor,
        update: Update,
        x: Tensor,
        y: Tensor,
        timer: StepTimer | None = None,
        unlabelled: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Stepped:
        """Take one step: x [N, C, H, W] in [0, 1], y [N, classes], `unlabelled` as x where a method wants them.

        `weights` [N] are those of the examples' losses, where they have any.

        State and buffers are updated in place. `timer` gets the mark "step" once the batch is augmented.
        """
        work = Work(branches=[], gradients=[])
        timer = timer or StepTimer(self.device)
        given = (update.step, update.progress, state, knobs, seed)
        more = {UNLABELLED: unlabelled, WEIGHTS: weights}
        batch = (x, y, {name: value for name, value in more.items() if value is not None})
        if self.lifted and self.objective.arithmetic.compiled:
            batch = torch.vmap(functools.partial(self._augmented, update.ends_epoch))(*given, *batch)
            timer.mark("step")
            return self._program(update.ends_epoch, *given, *batch)
        one = functools.partial(self._step, work, timer, update.ends_epoch)
        state, objective = (torch.vmap(one) if self.lifted else one)(*given, *batch)
        return Stepped(state, objective, len(work.branches), len(work.gradients))

    def logits(self, params: Tensors, buffers: Tensors, knobs: Knobs, x: Tensor) -> Tensor:
        """Return the logits in eval mode; without a member axis in x [N, C, H, W], all members see the same x."""
        forward = (
            torch.vmap(self.predict, in_dims=(0, 0, 0, None if x.ndim == 4 else 0)) if self.lifted else self.predict
        )
        with torch.no_grad():
            result: Tensor = forward(params, buffers, knobs, x)
        return result

    def evaluated(
        self, state: TrainState, knobs: Knobs, progress: Number, batches: Sequence[Tensor]
    ) -> tuple[Tensors, Tensors]:
        """Return the weights and buffers that the recipe has evaluated and kept, at a share of the budget.

        `batches` are training images [N, C, H, W], or [members, N, C, H, W], for those methods that take
        normalization statistics anew; they are looked at by no other.
        """

        def one(progress: Number, state: TrainState, knobs: Knobs, place: Tensor) -> tuple[Tensors, Tensors]:
            def mine(images: Tensor) -> Tensor:
                return images if images.ndim == 4 else images.index_select(0, place.reshape(1))[0]

            def statistics(params: Tensors) -> Tensors:
                return recomputed_statistics(
                    self.objective, self._still_bend(recipe), state.buffers, map(mine, batches), params
                )

            recipe = self._filled(knobs)
            now = Step(noise=self._still(), progress=progress, learning_rate=0.0, training=False)
            steps = recipe.steps(now, state.memory, plain=None if self.lifted else self.recipe)
            return recipe.evaluate(state.params, state.buffers, statistics, steps)

        with torch.no_grad():
            places = torch.arange(len(next(iter(state.params.values()))) if self.lifted else 1, device=self.device)
            result: tuple[Tensors, Tensors] = (torch.vmap(one) if self.lifted else one)(progress, state, knobs, places)
        return result

    def learning_rates(self, knobs: Knobs, progress: Number) -> list[float]:
        """Return each member's learning rate at a share of the budget."""

        def rate(progress: Number, knobs: Knobs) -> Tensor:
            return torch.as_tensor(knobs["optimizer"]["learning_rate"] * self._filled(knobs).schedule(progress))

        rates = torch.vmap(rate)(progress, knobs) if self.lifted else rate(progress, knobs)
        found: list[float] = rates.reshape(-1).tolist()
        return found

    @functools.cached_property
    def _program(self) -> Callable[..., Stepped]:
        """What follows augmentation in a step of a lane, compiled as a whole."""

        def program(ends_epoch: bool, *given: Any) -> Stepped:
            work = Work(branches=[], gradients=[])
            state, objective = torch.vmap(functools.partial(self._descended, work, ends_epoch))(*given)
            return Stepped(state, objective, len(work.branches), len(work.gradients))

        return one_graph(program)

    @functools.cached_property
    def _spared(self) -> frozenset[str]:
        return spared(self.net)

    def _still(self) -> Rng:
        """Return the noise of evaluation, the same for every trial; no method of regtune draws from it."""
        return Rng(seed=0, prefix="eval/", device=self.device)

    def _filled(self, knobs: Knobs) -> Recipe:
        methods = zip(self.recipe.methods, knobs["recipe"], strict=True)
        return Recipe(tuple((site, with_numbers(m, tensors)) for (site, m), tensors in methods))

    def _step(self, work: Work, timer: StepTimer, ends_epoch: bool, *given: Any) -> tuple[TrainState, Tensor]:
        """Take a step of one member; `given` is what `_seen` takes, then the batch."""
        *now, x, y, beside = given
        seen = self._seen(ends_epoch, *now)
        batch = self._augment(seen, x, y, beside)
        timer.mark("step")
        return self._descend(work, seen, batch)

    def _augmented(self, ends_epoch: bool, *given: Any) -> Batch:
        *now, x, y, beside = given
        return self._augment(self._seen(ends_epoch, *now), x, y, beside)

    def _descended(self, work: Work, ends_epoch: bool, *given: Any) -> tuple[TrainState, Tensor]:
        *now, x, y, beside = given
        return self._descend(work, self._seen(ends_epoch, *now), (x, y, beside))

    def _seen(
        self,
        ends_epoch: bool,
        step: int | Tensor,
        progress: Number,
        state: TrainState,
        knobs: Knobs,
        seed: int | Tensor,
    ) -> Seen:
        recipe = self._filled(knobs)
        now = Step(
            noise=Rng(seed=seed, step=step, prefix="step/", device=self.device),
            progress=progress,
            learning_rate=knobs["optimizer"]["learning_rate"] * recipe.schedule(progress),
            ends_epoch=ends_epoch,
            spared=self._spared,
        )
        steps = recipe.steps(now, state.memory, plain=None if self.lifted else self.recipe)
        return Seen(recipe, now, steps, state, with_numbers(self.optimizer, knobs["optimizer"]))

    def _augment(self, seen: Seen, x: Tensor, y: Tensor, beside: Tensors) -> Batch:
        with torch.no_grad():
            if (
                UNLABELLED in beside
            ):  # by draws of their own, so that those of the labelled ones are the same without them
                now = dataclasses.replace(seen.now, noise=seen.now.noise.at("unlabelled"))
                plain = None if self.lifted else self.recipe
                steps = seen.recipe.steps(now, seen.state.memory, plain=plain)
                unknown = torch.full_like(y, 1 / y.shape[-1])
                pictures, _ = seen.recipe.augment(beside[UNLABELLED], unknown, steps)
                beside = beside | {UNLABELLED: pictures}
            return (*seen.recipe.augment(x, y, seen.steps), beside)

    def _descend(self, work: Work, seen: Seen, batch: Batch) -> tuple[TrainState, Tensor]:
        recipe, now, steps, state, optimizer = seen
        compiled = self.objective.arithmetic.compiled and not self.lifted
        inner = recipe.steps(in_tensors(now), state.memory) if compiled else steps

        def gradient(params: Tensors) -> Tensors:
            # What is asked for beside the gradient at the weights that train leaves no trace in the buffers.
            buffers = {n: b.clone() for n, b in state.buffers.items()} if work.gradients else state.buffers
            grads, value = self.objective.slope(recipe, inner, work.branches, batch, params, buffers)
            work.gradients.append(value)
            return grads

        grads = recipe.descend(gradient, steps)(state.params)
        with torch.no_grad():
            given = optimizer.update(
                state.params,
                grads,
                state.moments,
                learning_rate=now.learning_rate,
                step=now.noise.step,
                lane=self.lifted,
            )
            params, moments = shapes.moved(given, state.params, state.moments, type(optimizer))
            updated = state._replace(params=params, moments=moments)
            return recipe.project(updated, steps), work.gradients[0]

    def predict(self, params: Tensors, buffers: Tensors, knobs: Knobs, x: Tensor) -> Tensor:
        """Return the logits in eval mode, differentiable, of one member."""
        return self.objective.forward(params, buffers, x, self._still_bend(self._filled(knobs)))

    def _still_bend(self, recipe: Recipe) -> Bend:
        """Return how evaluation bends."""
        steps = recipe.steps(Step(noise=self._still(), progress=1.0, learning_rate=0.0, training=False), {})
        return lambda signal, slot: recipe.bend(signal, slot, steps)
