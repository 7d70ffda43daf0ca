"""What hooks return, held to what the next one and the objective count on: torch would spread a wrong shape over all.

Each raises Refused, naming `where` (a method and its hook), what was expected and what came.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from regtune.errors import Refused


def batch(given: Any, classes: int, where: str) -> tuple[Tensor, Tensor]:
    """Return pictures [N, C, H, W] and their targets [N, classes]."""
    pair = isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, Tensor) for part in given)
    if pair and given[0].ndim == 4 and given[1].shape == (len(given[0]), classes):
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
    return given


def logits(given: Any, count: int) -> Tensor:
    """Return the logits [N, classes] of so many pictures."""
    if isinstance(given, Tensor) and given.ndim == 2 and len(given) == count:
        return given
    raise Refused(
        f"network: expected its forward to return logits [N, classes], one tensor, for {count} pictures, "
        f"given {outline(given)}"
    )


def outline(given: Any) -> str:
    """Return what kind of thing this is, with the shapes of its tensors."""
    if isinstance(given, Tensor):
        return f"a tensor {list(given.shape)}"
    if isinstance(given, tuple | list):
        return f"({', '.join(map(outline, given))})"
    return type(given).__name__
