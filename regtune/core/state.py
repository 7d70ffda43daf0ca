"""What changes while a network trains: one tree of tensors, the same for one trial and for a lane."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

Tree = TypeVar("Tree")
Tensors = dict[str, Tensor]
Number = float | Tensor  # a knob: a float in files and specs, a float32 0-dim tensor inside `train`


class TrainState(NamedTuple):
    """`params` and `buffers` of the network by name, `moments` of the optimizer by kind and name, and
    `memory`: what each method of the recipe remembers, by site and name.
    """

    params: Tensors
    buffers: Tensors
    moments: dict[str, Tensors]
    memory: dict[str, Tensors]


def weights(params: Tensors, spared: frozenset[str] = frozenset()) -> Tensors:
    """Return the weights proper: no biases and no scales or shifts of normalization layers.

    Those are vectors; `spared` are the others by name, of normalization over several axes and of embeddings.
    """
    return {name: value for name, value in params.items() if value.ndim > 1 and name not in spared}


def length(values: Tensors) -> Tensor:
    """Return the Euclidean length of all values together, at least 1e-12: below, squares are 0 in float32."""
    return torch.stack([value.square().sum() for value in values.values()]).sum().sqrt().clamp_min(1e-12)


def stacked(trees: list[Tree]) -> Tree:
    """Return one tree whose tensors have a leading member axis."""
    result: Tree = tree_map(lambda *leaves: torch.stack(leaves), *trees)
    return result


def with_member(tree: Tree, place: int, one: Tree) -> Tree:
    """Return a stacked tree with one member's part replaced, in place where members share no memory."""

    def written(all_: Tensor, mine: Tensor) -> Tensor:
        own = all_ if all_.stride(0) or len(all_) == 1 else all_.clone()  # vmap expands what is the same for all
        own[place].copy_(mine)
        return own

    result: Tree = tree_map(written, tree, one)
    return result


def members(tree: Tree, places: Tensor) -> Tree:
    """Return a copy of the parts of some members of a stacked tree, at places [members], which may repeat."""
    result: Tree = tree_map(lambda leaf: leaf[places], tree)
    return result


def member(tree: Tree, place: int) -> Tree:
    """Return a copy of one member's part of a stacked tree."""
    result: Tree = tree_map(lambda leaf: leaf[place].clone(), tree)
    return result
