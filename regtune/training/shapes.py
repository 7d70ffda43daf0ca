"""What hooks return, held to what the next one and the objective count on: torch would spread a wrong shape over all.

Each raises Refused, naming `where` (a method and its hook), what was expected and what came.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.registry import name_of
from regtune.core.state import Tensors, TrainState
from regtune.optimizers import Moments
from regtune.regularizers import Pretrained


def batch(given: Any, x: Tensor, y: Tensor, where: str) -> tuple[Tensor, Tensor]:
    """Return pictures [N, C, H, W] and their targets [N, classes] that were made of `x` and `y`, in their types."""
    pair = isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, Tensor) for part in given)
    classes = y.shape[-1]
    if pair and given[0].ndim == 4 and given[1].shape == (len(given[0]), classes):
        if (given[0].dtype, given[1].dtype) != (x.dtype, y.dtype):
            raise Refused(
                f"{where}: expected {x.dtype} and {y.dtype} as they came, given {given[0].dtype} and {given[1].dtype}"
            )
        return given[0], given[1]
    raise Refused(f"{where}: expected (x [N, C, H, W], y [N, {classes}]), two tensors of one N, given {outline(given)}")


def bent(given: Any, x: Any, where: str) -> Any:
    """Return what was made of `x`; of a tensor another one of its shape."""
    if isinstance(x, Tensor) and (not isinstance(given, Tensor) or given.shape != x.shape):
        raise Refused(f"{where}: expected a tensor {list(x.shape)} as it came, given {outline(given)}")
    return given


def scalar(given: Any, where: str) -> Any:
    """Return a number or a 0-dim tensor."""
    if isinstance(given, Tensor) and given.ndim:
        raise Refused(f"{where}: expected a scalar, given {outline(given)}; take its sum or its mean")
    if not isinstance(given, Tensor | Real):
        raise Refused(f"{where}: expected a scalar, given {outline(given)}")
    return given


def module(given: Any, where: str) -> nn.Module:
    """Return a network."""
    if isinstance(given, nn.Module):
        return given
    raise Refused(f"{where}: expected the network, an nn.Module, given {outline(given)}; return it")


def pretrained(given: Any, where: str) -> tuple[nn.Module, int]:
    """Return a network and how many examples it was pretrained on."""
    if isinstance(given, Pretrained) and isinstance(given.net, nn.Module) and type(given.examples) is int:
        return given.net, given.examples
    raise Refused(f"{where}: expected Pretrained(net=..., examples=...), given {outline(given)}")


def function(given: Any, where: str) -> Any:
    """Return a function."""
    if callable(given):
        return given
    raise Refused(f"{where}: expected a function of the weights, given {outline(given)}")


def tensors(given: Any, where: str, before: Tensors | None = None) -> Tensors:
    """Return tensors by name; of those from `before` as many, of the same names."""
    if not isinstance(given, dict) or not all(isinstance(value, Tensor) for value in given.values()):
        raise Refused(f"{where}: expected a dict of tensors by name, given {outline(given)}")
    if before is not None and given.keys() != before.keys():
        raise Refused(f"{where}: expected the names that begin gave, {sorted(before)}, given {sorted(given)}")
    return given


def both(given: Any, where: str) -> tuple[Tensors, Tensors]:
    """Return weights and buffers."""
    if isinstance(given, tuple) and len(given) == 2:
        return tensors(given[0], where), tensors(given[1], where)
    raise Refused(f"{where}: expected (params, buffers), given {outline(given)}")


def state(given: Any, before: TrainState, where: str) -> TrainState:
    """Return a state whose weights have the names and shapes of those `before`."""
    if not isinstance(given, TrainState):
        raise Refused(
            f"{where}: expected the state, given {outline(given)}; return state, or state._replace(params=...)"
        )
    if outlines(given.params) != outlines(before.params):
        raise Refused(f"{where}: expected weights of the names and shapes that they had; change their values only")
    return given


def moments(given: Any, where: str) -> Moments:
    """Return what an optimizer remembers: tensors by kind and name."""
    if not isinstance(given, dict):
        raise Refused(f"{where}: expected moments, a dict of dicts of tensors by kind and name, given {outline(given)}")
    return {kind: tensors(found, f"{where}[{kind!r}]") for kind, found in given.items()}


def moved(given: Any, params: Tensors, before: Moments, optimizer: type) -> tuple[Tensors, Moments]:
    """Return weights and moments of the names and shapes of those `before`; what came in is right already."""
    if isinstance(given, tuple) and len(given) == 2 and given[0] is params and given[1] is before:
        return given
    where = f"{name_of(optimizer)}.update"
    if not isinstance(given, tuple) or len(given) != 2:
        raise Refused(f"{where}: expected (params, moments), given {outline(given)}")
    if given[0] is not params and outlines(tensors(given[0], where)) != outlines(params):
        raise Refused(f"{where}: expected weights of the names and shapes that they had; change their values only")
    if given[1] is not before:
        found = moments(given[1], where)
        if [(kind, outlines(part)) for kind, part in found.items()] != [(k, outlines(b)) for k, b in before.items()]:
            raise Refused(f"{where}: expected moments of the names and shapes that start gave, in their order")
    return given


def truth(given: Any, where: str) -> bool:
    """Return whether training ends."""
    if isinstance(given, bool | np.bool_):
        return bool(given)
    raise Refused(f"{where}: expected True or False, given {outline(given)}")


def epoch(given: Any, newest: int, where: str) -> int:
    """Return the number of an epoch."""
    if isinstance(given, int | np.integer) and not isinstance(given, bool) and 1 <= given <= newest:
        return int(given)
    said = given if isinstance(given, int | float) else outline(given)
    raise Refused(f"{where}: expected the number of an epoch from 1 to {newest}, as epochs[-1].number, given {said}")


def logits(given: Any, count: int) -> Tensor:
    """Return the logits [N, classes] of so many pictures."""
    if isinstance(given, Tensor) and given.ndim == 2 and given.shape[0] == count:
        return given
    raise Refused(
        f"network: expected its forward to return logits [N, classes], one tensor, for {count} pictures, "
        f"given {outline(given)}"
    )


def outlines(given: Tensors) -> dict[str, Any]:
    """Return the shapes of tensors by name."""
    return {name: value.shape for name, value in given.items()}


def outline(given: Any) -> str:
    """Return what kind of thing this is, with the shapes of its tensors."""
    if isinstance(given, Tensor):
        return f"a tensor {list(given.shape)}"
    if isinstance(given, tuple | list):
        return f"({', '.join(map(outline, given))})"
    return type(given).__name__
