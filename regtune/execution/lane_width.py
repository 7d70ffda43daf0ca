"""How many trials a lane trains as one program: found by timing a few steps, 1 where that is fastest."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from regtune.core.records import Trial
from regtune.core.signals import Interrupted
from regtune.data import Splits
from regtune.execution.lane_queue import FEWEST
from regtune.training.assembly import few_unlabelled
from regtune.training.lane import Lane
from regtune.training.updates import UpdatePlan

GAIN = 0.98  # of the time of a step that one trial takes alone: a lane that takes more is not worth it
SECONDS = 1.0  # that a timed step of a lane may take, were it no faster than its trials one by one
ROUNDS = 3
PRICE = 0.02  # of the time of their steps: what measuring may take, also where nothing is gained
SHARE = 2  # of the memory that is there: what a lane may take of it


class Own(Protocol):
    """Where trials have their data from."""

    def of(self, trials: Sequence[Trial]) -> Splits | list[Splits]:
        """Return what a lane of these trials is given."""

    def one(self, trial: Trial) -> Splits:
        """Return the splits of a trial."""


def measured_width(trials: Sequence[Trial], own: Own, *, most: int) -> int:
    """Return how many trials like these a lane should have, `most` of them at most, by the time of a step of each.

    Trials that cannot share one are told by the lane itself, which refuses them.
    """
    trials = [replace(trial, compiled=False) for trial in trials]  # compiled, a lane gains more, and takes a minute
    first = trials[0]
    if most < FEWEST or not can_share(trials, own):
        return 1
    try:
        updates = len(trials) * first.epochs * (len(own.one(first).train) // first.batch)
        paid = int(PRICE * updates / ROUNDS) - 1  # a step of a lane that gains nothing is as many of a trial as it has
        if paid < FEWEST:
            return 1
        one = Lane(trials[:1], data=own.of(trials[:1]))
        alone, room = _seconds(one), _memory(first) // SHARE // step_bytes(one)
        steps = max(FEWEST, int(SECONDS / alone))
        width = min(most, room, paid, 1 << (steps.bit_length() - 1))  # powers of two: noise seldom changes them
        if width < FEWEST:
            return 1
        lane = Lane(trials[:width], data=own.of(trials[:width]))
        return width if _seconds(lane) / width <= GAIN * alone else 1
    except Interrupted:
        raise
    except BaseException:
        # Whatever it is, also no room for so many: a trial alone raises it again if it is its own, and says so.
        return 1


def can_share(trials: Sequence[Trial], own: Own) -> bool:
    """Return whether trials like these can train side by side; those of a user's code take a step together to see it.

    Code that looks at the values of its tensors, for which vmap has no rule, or that draws from global states, trains
    alone as it always did.
    """
    first = trials[0]
    if first.channels_last or first.retrain != "none":
        return False
    if not first.plugins:
        return True
    try:
        first = replace(first, compiled=False)
        _short([first, replace(first, seed=first.seed + 1)], own)
    except Interrupted:
        raise
    except BaseException:  # told by the trial itself, alone
        return False
    return True


def _short(trials: Sequence[Trial], own: Own) -> None:
    """Train two trials for a step, with all that is done before and after it: code of a user's may refuse a lane."""
    given = own.of(trials)
    few = [_few(splits, trials[0]) for splits in ([given] if isinstance(given, Splits) else given)]
    data = few[0] if isinstance(given, Splits) else few
    list(Lane(trials, data=data, update_plan=UpdatePlan(budget=1, updates=1, per_epoch=1)))


def _few(splits: Splits, trial: Trial) -> Splits:
    batch = trial.batch
    few = replace(splits, train=splits.train.first(batch), validation=splits.validation.first(batch), test=None)
    return replace(few, unlabelled=few_unlabelled(trial, splits, batch), few=True)


def _seconds(lane: Lane) -> float:
    """Return how long a step of a lane takes, the shortest of a few; a lane is left where it was."""
    places = torch.arange(lane.members[0].trial.batch, device=lane.data.train.index.device)
    index = places.expand(lane.width, -1) if lane.train_step.lifted else places
    update = lane.updates([1] * lane.width)[0]
    one_thread = lane.train_step.device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if one_thread else time.perf_counter  # steadier beside other processes
    found = []
    for _ in range(ROUNDS):
        state = tree_map(torch.clone, lane.state)
        _wait(lane.train_step.device)
        before = clock()
        lane.step(state, update, index)
        _wait(lane.train_step.device)
        found.append(clock() - before)
    return min(found)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def step_bytes(lane: Lane) -> int:
    """Return the bytes that a lane of one takes: its state, with gradients and what is kept, and those of a step.

    On a GPU the peak of a step is measured. Elsewhere it is what is saved for the way back, twice: its gradients come
    beside it.
    """
    device = lane.train_step.device
    places, update = torch.arange(lane.members[0].trial.batch, device=lane.data.train.index.device), lane.updates([1])
    state = tree_map(torch.clone, lane.state)
    held = 3 * sum(int(leaf.nbytes) for leaf in tree_leaves(lane.state))
    if device.type == "cuda":
        _wait(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        lane.step(state, update[0], places)
        _wait(device)
        return held + int(torch.cuda.max_memory_allocated(device)) - before
    saved: dict[int, int] = {}

    def noted(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(noted, lambda tensor: tensor):
        lane.step(state, update[0], places)
    return held + 2 * sum(saved.values())


def _memory(trial: Trial) -> int:
    """Return the bytes of memory where a trial trains: those that are free on a GPU, its part of a machine."""
    if trial.device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (os.cpu_count() or 1)
