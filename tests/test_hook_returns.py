"""What a hook returns is held to what it should be at once, by its name: nothing wrong goes on without a word."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from regtune.core.errors import Refused
from regtune.core.records import Epoch
from regtune.core.rng import Rng
from regtune.core.state import TrainState
from regtune.regularizers import Regularizer, Step
from regtune.training.recipe import Recipe, Steps

X, Y = torch.zeros(2, 1, 3, 3), torch.eye(4)[:2]
STATE = TrainState(params={"w": torch.zeros(2, 2)}, buffers={}, moments={}, memory={"gives.0": {"a": torch.zeros(1)}})
EPOCHS = [
    Epoch(
        number=number,
        objective=1.0,
        train_accuracy=None,
        train_loss=None,
        val_accuracy=None,
        val_loss=None,
        learning_rate=0.1,
        kept=1,
        seconds=0.1,
    )
    for number in (1, 2)
]


def giving(hook: str, value: Any) -> Recipe:
    """Return a recipe of one method whose hook returns a value, whatever it is given."""
    kind = type("Gives", (Regularizer,), {hook: lambda self, *given: value})
    return Recipe.of([kind()])


def steps(recipe: Recipe) -> Steps:
    return recipe.steps(Step(noise=Rng(seed=0), progress=0.0, learning_rate=0.1), STATE.memory)


def called(hook: str, value: Any) -> Any:
    recipe, data = giving(hook, value), None
    ways: dict[str, Any] = {
        "prepare": lambda: recipe.prepare(nn.Identity(), data),  # type: ignore[arg-type]  # no data is looked at
        "augment": lambda: recipe.augment(X, Y, steps(recipe)),
        "descend": lambda: recipe.descend(lambda weights: weights, steps(recipe)),
        "project": lambda: recipe.project(STATE, steps(recipe)),
        "begin": lambda: recipe.begin(STATE, data),  # type: ignore[arg-type]
        "remember": lambda: recipe.project(STATE, steps(recipe)),
        "evaluate": lambda: recipe.evaluate({}, {}, lambda weights: weights, steps(recipe)),
        "schedule": lambda: recipe.schedule(0.5),
        "stop": lambda: recipe.stop(EPOCHS),
        "keep": lambda: recipe.keep(EPOCHS),
    }
    return ways[hook]()


WRONG: list[tuple[str, Any, str]] = [
    ("prepare", None, "expected the network, an nn.Module, given NoneType; return it"),
    ("augment", (X.double(), Y), "expected torch.float32 and torch.float32 as they came, given torch.float64 and "),
    ("descend", 3, "expected a function of the weights, given int"),
    ("project", None, "expected the state, given NoneType; return state, or state._replace(params=...)"),
    ("project", STATE._replace(params={"w": torch.zeros(2)}), "expected weights of the names and shapes that they had"),
    ("project", STATE._replace(params={}), "expected weights of the names and shapes that they had"),
    ("begin", 3, "expected a dict of tensors by name, given int"),
    ("begin", {"a": 3}, "expected a dict of tensors by name, given dict"),
    ("remember", {"b": torch.zeros(1)}, "expected the names that begin gave, ['a'], given ['b']"),
    ("evaluate", {}, "expected (params, buffers), given dict"),
    ("schedule", "a", "expected a scalar, given str"),
    ("schedule", torch.ones(2), "expected a scalar, given a tensor [2]"),
    ("stop", None, "expected True or False, given NoneType"),
    ("stop", "no", "expected True or False, given str"),
    ("keep", None, "expected the number of an epoch from 1 to 2, as epochs[-1].number, given NoneType"),
    ("keep", 99, "expected the number of an epoch from 1 to 2, as epochs[-1].number, given 99"),
    ("keep", 0, "given 0"),
    ("keep", True, "given True"),
]


@pytest.mark.parametrize(("hook", "value", "said"), WRONG)
def test_what_no_hook_may_return_is_refused_by_its_name(hook: str, value: Any, said: str) -> None:
    with pytest.raises(Refused, match=rf"^gives\.{hook}: .*{re.escape(said)}"):
        called(hook, value)


RIGHT: list[tuple[str, Any, Any]] = [
    ("schedule", 0, 0),
    ("schedule", torch.tensor(0.5), torch.tensor(0.5)),
    ("stop", torch.tensor([1.0]).numpy()[0] > 0, True),
    ("keep", torch.tensor([2]).numpy()[0], 2),
    ("keep", 1, 1),
]


@pytest.mark.parametrize(("hook", "value", "result"), RIGHT)
def test_numbers_of_numpy_and_torch_are_numbers(hook: str, value: Any, result: Any) -> None:
    assert called(hook, value) == result
