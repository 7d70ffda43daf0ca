"""A rehearsal: one real step of every arm on a few real examples, twice, under two global random states.

What cannot be trained is refused before anything starts, in one line. What draws random numbers from outside
`step.noise` is found by its results: they differ under another global state.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from regtune.core.errors import Refused
from regtune.core.global_rng import seeded
from regtune.core.own_code import own_errors
from regtune.core.records import Trial
from regtune.core.signals import Interrupted, sigint_marked
from regtune.data import Splits
from regtune.execution.tracing import drawing, raised
from regtune.networks import KEEP, built
from regtune.regularizers import HOOKS, overrides
from regtune.sweep.arms import Arm
from regtune.sweep.sweep import Sweep
from regtune.training.assembly import few_unlabelled
from regtune.training.build import build_network, start_network
from regtune.training.lane import Lane
from regtune.training.process import prepare_process
from regtune.training.recipe import Recipe, name_at
from regtune.training.train_step import Update
from regtune.training.updates import UpdatePlan

FEW = 8  # examples of a step; a step that fails on them is tried again as it will be
FATAL = (MemoryError, torch.OutOfMemoryError, Interrupted)  # of which no arm is guilty
FIRST = Update(step=0, progress=0.0, ends_epoch=True)


class Seen(NamedTuple):
    """What a step was seen to do.

    `sources` are the global states that it draws from and `places` the functions that do; `repeats` says whether it
    is the same when they are, `evaluates` whether evaluation is the same whatever they are. `objective` is what the
    training objective is where it is no number ("nan", "inf"), `softmax` says whether the network's outputs look like
    probabilities. `failure` is why nothing was seen, on a device that is not the trial's.
    """

    sources: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    repeats: bool = True
    evaluates: bool = True
    objective: str = ""
    softmax: bool = False
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What one step of a trial was seen to do, and of which arm."""

    arm: str
    seen: Seen


def rehearse(sweep: Sweep, splits: Splits) -> list[str]:
    """Take a step of every arm, with every method in that may be, and return what a user should know, in lines.

    Searched knobs are at the upper end of their range. Raises Refused for an arm that cannot take the step.
    """
    prepare_process(sweep.arms[0].template.threads)
    template = sweep.arms[0].template
    with own_errors(f"network {template.network['name']}"):
        noted = build_network(template).remarks(start_network(template, splits))
    notes = [*noted, *_redrawn(template, splits), *_idle_methods(sweep)]
    seen = [
        Rehearsed(arm=arm.name, seen=rehearse_trial(trial, splits, f"arms.{arm.name}"))
        for arm in sweep.arms
        for trial in variants(arm)
    ]
    for what in dict.fromkeys(row.seen for row in seen):
        names = dict.fromkeys(row.arm for row in seen if row.seen == what)
        where = "every arm" if len(names) == len(sweep.arms) else ", ".join(f"arms.{name}" for name in names)
        notes += [f"{where}: {text}" for text in told(what)]
    return notes


def variants(arm: Arm) -> Iterator[Trial]:
    """Yield trials of an arm in which each of its methods is at least once, searched knobs at their upper end."""
    choices = {c.path: arm.space[c.path] for c in arm.conditions.values()}
    options = {path: s.choices for path, s in choices.items() if isinstance(s, CategoricalDistribution)}
    for number in range(max(map(len, options.values()), default=1)):
        # A switch has true behind false, a group its methods in turn.
        chosen = {path: found[-1 - number % len(found)] for path, found in options.items()}
        values = {path: chosen[path] if path in chosen else _upper(space) for path, space in arm.space.items()}
        idle = arm.idle(values)
        yield arm.trial({p: v for p, v in values.items() if p not in idle}, seed=0, phase="search")


def rehearse_trial(trial: Trial, splits: Splits, where: str) -> Seen:
    """Take one step of a trial, evaluate it, and return what was seen; raises Refused, naming `where`.

    On the CPU, not compiled, and pretrained on as few examples. What fails there and is of another device is told, not
    refused.
    """
    few = min(FEW, trial.batch)
    short = replace(trial, epochs=1, device="cpu", compiled=False, tightness=False, phase="search", retrain="none")
    splits = replace(splits, unlabelled=few_unlabelled(trial, splits, few), few=True)
    small = replace(splits, train=splits.train.first(few), validation=splits.validation.first(few), test=None)
    try:
        with sigint_marked():
            return _seen(replace(short, batch=few), small)
    except FATAL:
        raise
    except BaseException:  # anything may be in a user's code; whether it is a fault the step as it will be tells
        try:
            with sigint_marked():
                return _seen(short, splits.without_test())
        except FATAL:
            raise
        except BaseException as error:
            text = f"one step on {trial.batch} examples: {raised(error)}"
            if trial.device == "cpu" or isinstance(error, Refused):
                raise Refused(f"{where}: {text}") from error
            return Seen(failure=text)


def told(seen: Seen) -> Iterator[str]:
    """Yield what a user should know of a step, a line each."""
    if seen.failure:
        yield f"not rehearsed: trials are for cuda, and on the CPU fails {seen.failure}"
    if seen.sources:
        places = f" in {', '.join(seen.places)}" if seen.places else ""
        yield (
            f"noise from outside step.noise, from the global state of {' and '.join(seen.sources)}{places}: it "
            f"repeats, seeded by (seed, step), but is not paired over arms, and lanes of several trials refuse it"
        )
    if not seen.repeats:
        yield (
            "two runs of one step under one seed differ: something draws from a generator of its own, which nothing "
            "seeds; its trials do not repeat or resume, and are not paired; draw from step.noise"
        )
    if seen.softmax:
        yield (
            "the outputs of the network are probabilities, from 0 to 1 with a sum of 1; expected logits, since the "
            "loss takes their softmax: return what stands before the softmax"
        )
    if seen.objective:
        yield (
            f"the objective of the first step is {seen.objective}, before any update (searched knobs are at the upper "
            f"end of their ranges here): trials that begin so diverge at once"
        )
    if not seen.evaluates:
        yield "evaluation draws random numbers: metrics have noise of their own; is a dropout on outside of training?"


def _seen(trial: Trial, splits: Splits) -> Seen:
    """Take steps of a trial and one whole epoch of one step."""
    lane = Lane((trial,), data=splits, update_plan=UpdatePlan(budget=1, updates=1, per_epoch=1))
    places = torch.arange(trial.batch)

    def step() -> list[Tensor]:
        stepped = lane.step(tree_map(torch.clone, lane.state), FIRST, places)
        return [*tree_leaves(stepped.state), stepped.objective]

    def evaluation() -> list[Tensor]:
        lane.train_step.net.eval()
        logits = lane.train_step.logits(*lane.kept[0], lane.knobs, lane.pictures(places))
        lane.train_step.net.train()
        return [logits]

    results = []
    for seed in (1, 2):
        with seeded(seed, "rehearsal"):
            results.append((step(), evaluation()))
    (first, looked), (second, looked_again) = results
    seen = Seen(
        evaluates=_same(looked, looked_again),
        objective="" if math.isfinite(begun := float(first[-1].sum())) else f"{begun}",
        softmax=_are_probabilities(looked[0]),
    )
    if not (_same(first, second) and seen.evaluates):
        with seeded(1, "rehearsal"):
            (again, looked_again), sources, functions = drawing(lambda: (step(), evaluation()))
        repeats = _same(first, again) and _same(looked, looked_again)
        seen = seen._replace(sources=tuple(sources), places=tuple(functions), repeats=repeats)
    next(lane)  # what is asked between epochs, and at the end
    return seen


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    """Return whether tensors are equal; what is not a number is equal to itself."""
    return all(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in zip(one, other, strict=True))


def _are_probabilities(outputs: Tensor) -> bool:
    """Return whether every row of outputs [..., C] is from 0 to 1 and sums to 1, as that of a softmax does."""
    sums = outputs.double().sum(-1)
    return bool(((outputs >= 0) & (outputs <= 1)).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


def _upper(space: Any) -> Any:
    return space.choices[-1] if isinstance(space, CategoricalDistribution) else space.high


def _idle_methods(sweep: Sweep) -> Iterator[str]:
    """Say so where a method of an arm has no hook: it changes nothing, and its arm is a copy of one without it."""
    for arm in sweep.arms:
        for site, method in Recipe.read(arm.template.recipe, arm.template.plugins).methods:
            if not any(overrides(method, hook) for hook in HOOKS):
                yield (
                    f"arms.{arm.name}.{name_at(site)}: it has none of the hooks ({', '.join(HOOKS)}) and changes "
                    f"nothing; are its methods called otherwise?"
                )


def _redrawn(trial: Trial, splits: Splits) -> list[str]:
    """Say so where a network of a user's brings weights along that are initialized again."""
    network = build_network(trial)
    if type(network).__module__.startswith("regtune.") or network.init == KEEP:
        return []
    channels, height, width = splits.train.source.shape[1:]
    nets = []
    for seed in (1, 2):
        with seeded(seed, "build"):
            shape = (channels, height, width)
            nets.append(built(network, shape=shape, classes=splits.classes, columns=splits.columns))
    pairs = itertools.chain.from_iterable(
        zip(a.parameters(recurse=False), b.parameters(recurse=False), strict=False)
        for a, b in zip(*(net.modules() for net in nets), strict=False)
        if isinstance(a, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    )
    if any(bool((a != a.flatten()[0]).any()) and torch.equal(a, b) for a, b in pairs):
        return [
            f"network {trial.network['name']}: build returns the same weights whatever the seed, as of a file that it "
            f"loads, and init = {network.init!r} redraws them; init = 'keep' in [network] keeps them"
        ]
    return []
