"""Any loss of one tensor, minimized by the product's own step: its recipe, its optimizer, its order of hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regtune.core.state import Tensors, TrainState
from regtune.networks import Bend
from regtune.optimizers import Optimizer
from regtune.optimizers.sgd import SGD
from regtune.regularizers import Regularizer
from regtune.studies._noise import noise_of
from regtune.training.objective import Arithmetic, Batch, Objective
from regtune.training.recipe import Recipe, Steps, numbers
from regtune.training.train_step import TrainStep, Update

NOTHING = torch.zeros(())
CPU = torch.device("cpu")
Loss = Callable[[Tensor, Bend], Tensor]


@dataclass(frozen=True, kw_only=True)
class LossObjective(Objective):
    """An objective with a loss of the weights in place of the likelihood of a network's answers."""

    loss: Loss

    def _value(
        self, recipe: Recipe, steps: Steps, ran: list[str], batch: Batch, params: Tensors, buffers: Tensors
    ) -> Tensor:
        seen = {
            "params": params,
            "inputs": batch[0],
            "targets": batch[1],
            "logits": NOTHING,
            "taps": {},
            "features": lambda x: x.flatten(1),
        }
        value = self.loss(params["weight"], lambda signal, slot: recipe.bend(signal, slot, steps))
        return value + recipe.penalty(steps, seen)


def descended(
    loss: Loss,
    start: Tensor,
    recipe: Sequence[Regularizer],
    *,
    learning_rate: float,
    updates: int,
    momentum: float = 0.0,
    optimizer: Optimizer | None = None,
) -> Tensor:
    """Return the weights before the first update and after each [updates + 1, *start.shape].

    `loss` takes the weights, in the type and shape of `start`, and what bends a signal at a slot; regularizers see the
    weights as a weight matrix, which they are where `start` has two dimensions. By SGD, if no `optimizer` is given.
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


@dataclass(frozen=True, kw_only=True)
class Quadratic:
    """The lecture's J(w) = (w - w*)'H(w - w*) / 2 of weights [1, d], with H = Q Λ Q'."""

    basis: Tensor
    values: Tensor
    optimum: Tensor

    @classmethod
    def drawn(cls, values: Sequence[float]) -> Quadratic:
        """Return one with these eigenvalues, and eigenvectors and an optimum that are drawn."""
        noise, count = noise_of("quadratic"), len(values)
        basis, _ = torch.linalg.qr(noise.normal("basis", (count, count)).double())
        return cls(
            basis=basis,
            values=torch.tensor(values, dtype=torch.float64),
            optimum=noise.normal("optimum", (count,)).double(),
        )

    @property
    def hessian(self) -> Tensor:
        """H [d, d]."""
        return self.basis @ self.values.diag() @ self.basis.T

    def loss(self, w: Tensor, bend: Bend) -> Tensor:
        """Return J of weights [1, d]."""
        gap = w[0] - self.optimum
        return gap @ self.hessian @ gap / 2

    def shares(self, w: Tensor) -> Tensor:
        """Return Q'w over Q'w*, direction by direction, of weights [..., d]."""
        return (w @ self.basis) / (self.optimum @ self.basis)


def in_float32(number: float) -> float:
    """Return a number as the product's step has it: its knobs are float32."""
    return float(torch.tensor(number))
