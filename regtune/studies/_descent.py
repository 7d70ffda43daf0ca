"""Any loss of one tensor, minimized by the product's own step: its recipe, its optimizer, its order of hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regtune.core.state import Tensors, TrainState
from regtune.optimizers import Optimizer
from regtune.optimizers.sgd import SGD
from regtune.regularizers import Regularizer
from regtune.training.objective import Arithmetic, Objective
from regtune.training.recipe import Recipe, Steps, numbers
from regtune.training.train_step import TrainStep, Update

NOTHING = torch.zeros(())
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class LossObjective(Objective):
    """An objective with a loss of the weights in place of the likelihood of a network's answers."""

    loss: Callable[[Tensor], Tensor]

    def _value(
        self, recipe: Recipe, steps: Steps, ran: list[str], x: Tensor, y: Tensor, params: Tensors, buffers: Tensors
    ) -> Tensor:
        seen = {"params": params, "inputs": x, "targets": y, "logits": NOTHING, "taps": {}}
        return self.loss(params["weight"]) + recipe.penalty(steps, seen)


def descended(
    loss: Callable[[Tensor], Tensor],
    start: Tensor,
    recipe: Sequence[Regularizer],
    *,
    learning_rate: float,
    updates: int,
    momentum: float = 0.0,
    optimizer: Optimizer | None = None,
) -> Tensor:
    """Return the weights before the first update and after each [updates + 1, *start.shape].

    `loss` takes the weights, in the type and shape of `start`; regularizers see them as a weight matrix, which they
    are where `start` has two dimensions. By SGD, if no `optimizer` is given.
    """
    own = optimizer or SGD(momentum=momentum)
    methods = Recipe.of(recipe)
    step = TrainStep(
        objective=LossObjective(net=nn.Identity(), lifted=False, arithmetic=Arithmetic(), loss=loss),
        recipe=methods,
        optimizer=own,
        device=CPU,
    )
    params = {"weight": start.clone()}
    state = TrainState(params, {}, own.start(params), {})
    knobs = {
        "optimizer": numbers(own, CPU) | {"learning_rate": torch.tensor(learning_rate)},
        "recipe": [numbers(method, CPU) for _, method in methods.methods],
    }
    path = [start.clone()]
    for number in range(updates):
        update = Update(step=number, progress=number / updates)
        state = step.step(state, knobs, 0, update, NOTHING, NOTHING).state
        path.append(state.params["weight"].clone())
    return torch.stack(path)


def quadratic(hessian: Tensor, optimum: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the lecture's J(w) = (w - w*)' H (w - w*) / 2 of weights [1, d]."""

    def loss(w: Tensor) -> Tensor:
        gap = w[0] - optimum
        return gap @ hessian @ gap / 2

    return loss
