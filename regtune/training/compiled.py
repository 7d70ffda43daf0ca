"""Compiling a function of tensors into one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOST_VARIANTS = 1024  # compiled programs of one function in a process: a worker trains many trials


def one_graph(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a function compiled by `torch.compile` without graph breaks; the first call takes a minute."""
    compiled = torch.compile(function, fullgraph=True, dynamic=False)

    def call(*arguments: Any) -> Tensor:
        with torch._dynamo.config.patch(recompile_limit=MOST_VARIANTS, accumulated_recompile_limit=MOST_VARIANTS):
            return compiled(*arguments)

    return call
