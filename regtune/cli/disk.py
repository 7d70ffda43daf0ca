"""How much disk the weights take that a sweep keeps: `regtune plan`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from regtune.core.errors import Refused
from regtune.data import DataLocation, Splits
from regtune.execution.rehearsal import variants
from regtune.regularizers import overrides
from regtune.sweep.sweep import Sweep
from regtune.training.build import DTYPES, load_pool, split_data, start_network
from regtune.training.recipe import Recipe

HEAD = 1000  # bytes, more than the line of `checkpoints` before those of torch has, with what is small beside tensors


def weights_words(sweep: Sweep, place: DataLocation) -> str:
    """Return what the weights take at most that a sweep keeps, and what they would with the other settings.

    The size of a file depends on the data; where these cannot be had only files are counted.
    """
    arms, repeats = len(sweep.arms), sweep.search.repeats
    every = repeats * sum(sweep.most_trials("confirm", arm) for arm in sweep.arms)
    files = {"true": every, '"best"': min(repeats * arms, every), "false": 0}
    try:
        template = sweep.arms[0].template
        each = largest(sweep, split_data(template, load_pool(template, replace(place, download=False))))
    except Refused as error:
        each, unknown = 0, f"; the size of a file depends on the data: {error}"
    else:
        unknown = f"; a file takes at most {_size(each)}"
    said = {name: f"{n} files{f', {_size(n * each)}' if each and n else ''}" for name, n in files.items()}
    asked = '"best"' if sweep.confirm.weights == "best" else str(sweep.confirm.weights).lower()
    others = ", ".join(f"{name} {text}" for name, text in said.items() if name != asked)
    return f"weights kept for regtune export: at most {said[asked]} (weights = {asked}; {others}){unknown}"


def largest(sweep: Sweep, splits: Splits) -> int:
    """Return the bytes of the largest file that the weights of a trial of a sweep may take."""
    names = list(splits.names)
    return max(_written(net, names) for net in _networks(sweep, splits)) + HEAD


def _networks(sweep: Sweep, splits: Splits) -> Iterator[nn.Module]:
    """Yield the network of a sweep, and those that methods make of it."""
    template = sweep.arms[0].template
    yield start_network(template, splits).to(DTYPES[template.dtype])
    for arm in sweep.arms:
        for trial in variants(arm):
            recipe = Recipe.read(trial.recipe, trial.plugins)
            if any(overrides(method, "prepare") for _, method in recipe.methods):
                net = start_network(trial, splits).to(DTYPES[trial.dtype])
                yield recipe.prepare(net, replace(splits, test=None)).to(DTYPES[trial.dtype])


def _written(net: nn.Module, names: list[str]) -> int:
    """Return the bytes that a network is written as, with the names of its classes: see `Training.weights`."""
    buffer = io.BytesIO()
    params = {name: value.detach() for name, value in net.named_parameters()}
    torch.save({"params": params, "buffers": dict(net.named_buffers()), "names": names}, buffer)
    return buffer.tell()


def _size(count: float) -> str:
    """Return a number of bytes as a reader wants it: `2.3 MB`."""
    unit, scale = next(((u, s) for u, s in (("kB", 1e3), ("MB", 1e6)) if count < 999.5 * s), ("GB", 1e9))
    return f"{count / scale:.3g} {unit}"
