"""What to name instead of a block that holds its shortcut, where a residual place is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

SHORTCUTS = ("downsample", "shortcut", "skip", "identity")  # as blocks call what is no branch


def end_of_branch(block: nn.Module, alive: Callable[[], bool]) -> str:
    """Return the name of the submodule that ends the branch of a block; empty where none is found.

    It is the last one, in the order in which they run, without whose outputs pictures still reach those of the network:
    `alive` says whether they do.
    """
    ran: dict[str, None] = {}
    children = [(name, part) for name, part in block.named_children() if not name.startswith(SHORTCUTS)]
    hooks = [part.register_forward_hook(_noting(name, ran)) for name, part in children]
    try:
        alive()
    finally:
        for hook in hooks:
            hook.remove()
    for name in reversed(ran):
        hook = block.get_submodule(name).register_forward_hook(_silent)
        try:
            if alive():
                return name
        finally:
            hook.remove()
    return ""


def _noting(name: str, ran: dict[str, None]) -> Callable[[nn.Module, Any, Any], None]:
    def note(part: nn.Module, given: Any, output: Any) -> None:
        ran.pop(name, None)  # what runs twice is where it runs last
        ran[name] = None

    return note


def _silent(part: nn.Module, given: Any, output: Any) -> Any:
    return torch.zeros_like(output) if isinstance(output, Tensor) else output
