"""A lane: the only training loop, with one member or, along a leading axis of every tensor, with many."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from regtune.core.errors import Refused
from regtune.core.global_rng import LaneNoise
from regtune.core.metric import METRICS
from regtune.core.records import Epoch, Outcome, Trial, finite
from regtune.core.state import TrainState, Tree, member, members, stacked, with_member
from regtune.data import Splits, pixels, splits_beside
from regtune.training.assembly import LaneData, Start, check_alike, device_of, start
from regtune.training.build import DTYPES, arithmetic_of, check_arithmetic
from regtune.training.evaluation import measure
from regtune.training.member import Member
from regtune.training.objective import Objective
from regtune.training.outcome import Ending, Evaluated, Weights, evaluated
from regtune.training.snapshot import Snapshot
from regtune.training.step_timer import StepTimer
from regtune.training.train_step import Knobs, Stepped, TrainStep, Update
from regtune.training.updates import UpdatePlan

CLEAN_SUBSET = 1000  # training examples on which every epoch is measured
ENDING = 4  # members of a last pass: always so many, so that a member's bits do not depend on who ends with it

T = TypeVar("T")


class Lane:
    """An iterator over the epochs of trials that train side by side, one tuple per epoch.

    The members share data set, network, batch, epochs, kinds of methods and optimizer; knobs, learning rates and seeds
    differ, and each is in an epoch of its own. A member that has ended yields None from then on, until another trial
    takes its slot, see `replace`. Of `width` slots those that no trial fills are idle; a lane of width 1 has no member
    axis, and its bits are those of a trial alone. At one width the bits of a member are the same whatever its slot and
    its neighbours.

    `data` are the splits of all, or of each in order, equal in size, where the seed of the split differs too.
    `update_plan` says which updates are made, if not those of the whole budget; `weights` are (params, buffers) to
    begin with, `resume` is a checkpoint, both for a lane of one.

    The process is left as it is: see `process.prepare_process` for its threads.

    What a user's code draws from global random states is seeded for each step where there is one trial, and refused
    where there are several, which would share it; the states are then as they were. See `core.global_rng`.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        *,
        data: Splits | Sequence[Splits] | None = None,
        width: int | None = None,
        resume: bytes | None = None,
        update_plan: UpdatePlan | None = None,
        weights: Weights | None = None,
    ) -> None:
        first, count = trials[0], len(trials)
        self.width = width or count
        idle = self.width - count
        filled = [*trials, *[first] * idle]
        self._own_splits = data is not None and not isinstance(data, Splits)
        if data is not None and not isinstance(data, Splits) and len(data) == count:
            data = [*data, *[data[0]] * idle]
        check_alike(filled[:count], own_splits=self._own_splits)
        if first.channels_last and self.width > 1:
            raise Refused("lane: expected trials with channels_last = false; train them one by one")
        check_arithmetic(first)
        device = device_of(first)
        self._data = LaneData.of(filled, data, device)
        starts = [start(trial, own, weights) for trial, own in zip(trials, self._data.own, strict=False)]
        self.train_step = TrainStep(
            objective=Objective(net=starts[0].net, lifted=self.width > 1, arithmetic=arithmetic_of(first)),
            recipe=starts[0].recipe,
            optimizer=starts[0].optimizer,
            device=device,
        )
        lifted = self.train_step.lifted
        each = [*starts, *[starts[0]] * idle]  # an idle slot holds a copy of the first
        self.state = stacked([one.state for one in each]) if lifted else starts[0].state
        self.knobs: Knobs = stacked([one.knobs for one in each]) if lifted else starts[0].knobs
        self._dtype, self._batch = DTYPES[first.dtype], first.batch
        self._eye = torch.eye(self.data.classes, dtype=self._dtype, device=device)
        per_epoch = len(self.data.train) // first.batch
        whole = first.epochs * per_epoch
        self.update_plan = update_plan or UpdatePlan(budget=whole, updates=whole, per_epoch=per_epoch)
        self._noise = LaneNoise(present=bool(first.plugins), seeds=[trial.seed for trial in filled], device=device)
        begun = [self._begun(one, own) for one, own in zip(starts, self._data.own, strict=False)]
        begun += [begun[0]] * idle
        self._kept: Weights = stacked(begun) if lifted else begun[0]
        self.members = [
            Member(
                trial=trial,
                recipe=one.recipe,
                begun=params,
                epochs=[],
                pretraining=one.pretraining,
                idle=place >= count,
            )
            for place, (trial, one, (params, _)) in enumerate(zip(filled, each, begun, strict=True))
        ]
        self._seeds: int | Tensor = first.seed
        if lifted:
            self._seeds = torch.tensor([trial.seed for trial in filled], dtype=torch.int32, device=device)
        if resume is not None:
            self.restore(0, resume)

    @property
    def data(self) -> Splits:
        """The splits that the lane reads from, with a member axis where members have splits of their own."""
        return self._data.all

    @property
    def epochs(self) -> list[list[Epoch]]:
        """The epochs so far of each slot's trial."""
        return [one.epochs for one in self.members]

    @property
    def kept(self) -> list[Weights]:
        """The weights that count, (params, buffers), of each slot's trial."""
        return [self.kept_at(place) for place in range(self.width)]

    def kept_at(self, place: int) -> Weights:
        """Return the weights that count, (params, buffers), of a slot's trial."""
        return self._of(self._kept, place)

    def __iter__(self) -> Iterator[tuple[Epoch | None, ...]]:
        return self

    def __next__(self) -> tuple[Epoch | None, ...]:
        """Train one epoch and return what was measured, per slot."""
        if all(one.ended for one in self.members):
            raise StopIteration
        with self._noise.block():
            return self._epoch()

    def replace(self, place: int, trial: Trial, *, data: Splits | None = None) -> None:
        """Have another trial start in a slot of a lane of several; `data` are its splits where each has its own."""
        if not self.train_step.lifted:
            raise ValueError("a lane of one is made anew for another trial")
        check_alike([self.members[0].trial, trial], own_splits=self._own_splits)
        if data is not None:
            self._data = self._data.with_member(place, data, trial)
        one = start(trial, self._data.own[place])
        begun = self._begun(one, self._data.own[place])
        self.state, self.knobs = with_member(self.state, place, one.state), with_member(self.knobs, place, one.knobs)
        self._kept = with_member(self._kept, place, begun)
        self._seeds = with_member(self._seeds, place, torch.as_tensor(trial.seed).to(self._seeds))
        self.members[place] = Member(
            trial=trial, recipe=one.recipe, begun=begun[0], epochs=[], pretraining=one.pretraining
        )

    def release(self, place: int) -> None:
        """Let the trial of a slot go: it yields no more."""
        self.members[place].idle = True

    def narrowed(self, places: Sequence[int]) -> Lane | None:
        """Return a lane of these slots alone, two or more, in that order; None where its bits would be others.

        What is said of a program of one width holds for another one only where both were seen to give the same: here a
        step and what is measured after it, of these trials as they are. A place that comes again is idle there. A
        compiled lane stays as it is: it would be compiled again.
        """
        if self.members[0].trial.compiled:
            return None
        index = torch.tensor(places, device=self.train_step.device)
        lane = copy.copy(self)
        lane.width, lane._seeds = len(places), members(self._seeds, index)
        lane.state, lane.knobs, lane._kept = (members(tree, index) for tree in (self.state, self.knobs, self._kept))  # type: ignore[assignment]  # each its own type
        lane.members = [
            self.members[k] if k not in places[:i] else dataclasses.replace(self.members[k], epochs=[], idle=True)
            for i, k in enumerate(places)
        ]
        lane._data = self._data.only(places)
        lane._noise = dataclasses.replace(self._noise, seeds=[one.trial.seed for one in lane.members])
        alone, beside = lane._trial_run(), self._trial_run()
        rows = [i for i, one in enumerate(lane.members) if not one.ended]
        same = all(torch.equal(a[i], b[places[i]]) for a, b in zip(alone, beside, strict=True) for i in rows)
        return lane if same else None

    def _trial_run(self) -> list[Tensor]:
        """Return what the next step and the pass over the validation split would give, member by member."""
        before = self.state
        self.state = tree_map(torch.clone, before)
        try:
            update = self.updates([1 if one.ended else len(one.epochs) + 1 for one in self.members])[0]
            places = torch.arange(self._batch, device=self.data.train.index.device).expand(self.width, -1)
            stepped = self.step(self.state, update, places)
            self.state = stepped.state
            weights = self._evaluated(update)
        finally:
            self.state = before
        val = measure(self.train_step, *weights, self.knobs, self.data.validation)
        seen = torch.tensor([[one.accuracy, one.loss] for one in val], dtype=torch.float64)
        return [*tree_leaves((stepped.state, weights)), stepped.objective, seen]

    def checkpoint(self, place: int = 0) -> bytes:
        """Return all that the trial of a slot needs to go on from here, readable with `weights_only=True`."""
        one = self.members[place]
        state = self._of(self.state, place)
        return Snapshot(trials=[one.trial.id], state=state, kept=[self.kept_at(place)], epochs=[one.epochs]).content()

    def restore(self, place: int, content: bytes) -> None:
        """Have the trial of a slot go on from its checkpoint; raises Refused for that of another trial."""
        one = self.members[place]
        then = Snapshot.read(content, [one.trial.id], self.train_step.device)
        lifted = self.train_step.lifted
        self.state = with_member(self.state, place, then.state) if lifted else then.state
        self._kept = with_member(self._kept, place, then.kept[0]) if lifted else then.kept[0]
        one.epochs = then.epochs[0]

    def step(self, state: TrainState, update: Update, places: Tensor, timer: StepTimer | None = None) -> Stepped:
        """Take one step from a state, which is updated in place, on the training examples at places [..., batch]."""
        labels = self.data.train.answers(places)
        x, y = self.pictures(places), self._eye[labels]
        drawn = self._data.drawn(self._seeds, update.step, places.shape[-1])
        unlabelled = None if drawn is None else pixels(drawn, self._dtype)
        weights = None if self._data.weights is None else self._data.weights_of(labels).to(self._dtype)
        return self.train_step.step(state, self.knobs, self._seeds, update, x, y, timer, unlabelled, weights)

    def pictures(self, places: Tensor) -> Tensor:
        """Return the training pictures at places as they enter a step."""
        return pixels(self.data.train.pictures(places), self._dtype)

    def _epoch(self) -> tuple[Epoch | None, ...]:
        started = time.perf_counter()
        # What has ended is trained along, from the beginning of the budget: it needs a place that there is.
        numbers = [1 if one.ended else len(one.epochs) + 1 for one in self.members]
        updates = self.updates(numbers)
        rates = self.train_step.learning_rates(self.knobs, updates[0].progress)
        timer = StepTimer(self.train_step.device)
        objectives, branches, gradients = self._pass(numbers, updates, timer)
        spent = timer.seconds()
        self._noise.at("evaluation", numbers[0])
        weights = self._evaluated(updates[-1])
        val = measure(self.train_step, *weights, self.knobs, self.data.validation, self.members[0].trial.metric)
        clean = measure(self.train_step, *weights, self.knobs, self.data.train.first(CLEAN_SUBSET))
        going = [place for place, one in enumerate(self.members) if not one.ended]
        seconds = (time.perf_counter() - started) / len(going)
        for k in going:
            one = self.members[k]
            epoch = Epoch(
                number=numbers[k],
                objective=finite(objectives[k]),
                train_accuracy=clean[k].accuracy,
                train_loss=finite(clean[k].loss),
                val_accuracy=val[k].accuracy,
                val_loss=finite(val[k].loss),
                learning_rate=finite(rates[k]),
                kept=numbers[k],
                branches=branches,
                gradients=gradients,
                seconds=seconds,
                data_share=spent["data"] / sum(spent.values()),
            )
            if numbers[k] == 1:
                epoch = one.pretraining.noted(epoch)
            if metric := one.trial.metric:
                epoch = dataclasses.replace(epoch, **{METRICS[metric].val: finite(val[k].asked)})  # type: ignore[arg-type]  # the field of that name
            if not self.update_plan.fixed:
                seen = [*one.epochs, epoch]
                kept = self._tried(k, lambda one=one, seen=seen: one.recipe.keep(seen))  # type: ignore[misc]  # bound now
                if kept is None:
                    continue
                epoch = dataclasses.replace(epoch, kept=kept)
            one.epochs.append(epoch)
        self._keep(weights, [not one.ended and one.epochs[-1].kept == one.epochs[-1].number for one in self.members])
        self._end(going, objectives, weights)
        return tuple(one.epochs[-1] if k in going and not one.idle else None for k, one in enumerate(self.members))

    def _tried(self, k: int, action: Callable[[], T]) -> T | None:
        """Return what code of member k returns, None where it raised and has neighbours that train on."""
        return self.members[k].tried(action) if self.train_step.lifted else action()

    def updates(self, numbers: Sequence[int]) -> list[Update]:
        """Return the updates of an epoch in which each member is in that of its number."""
        each = [self.update_plan.in_epoch(number) for number in numbers]
        if not self.train_step.lifted:
            return each[0]
        return [Update.beside(updates, self.train_step.device) for updates in zip(*each, strict=True)]

    def _pass(
        self, numbers: Sequence[int], updates: Sequence[Update], timer: StepTimer
    ) -> tuple[list[float], float, float]:
        """Train on full batches; return each member's mean objective; branches and gradients per update."""
        batch, device = self._batch, self.data.train.index.device
        orders = torch.stack(
            [
                self._data.order(place, one.trial, number)
                for place, (one, number) in enumerate(zip(self.members, numbers, strict=True))
            ]
        ).to(device)
        index = orders if self.train_step.lifted else orders[0]
        total, branches, gradients = torch.zeros((), device=self.train_step.device), 0, 0
        for i, update in enumerate(updates):
            timer.mark("data")
            if not self.train_step.lifted:
                self._noise.at("step", int(update.step))
            stepped = self.step(self.state, update, index[..., i * batch : (i + 1) * batch], timer)
            self.state, total = stepped.state, total + stepped.objective
            branches, gradients = branches + stepped.branches, gradients + stepped.gradients
        timer.mark("end")
        means: list[float] = (total / len(updates)).reshape(-1).tolist()
        return means, branches / len(updates), gradients / len(updates)

    def _evaluated(self, update: Update) -> Weights:
        """Return the weights and buffers that the recipe has evaluated after an update."""
        batches = self.data.train.batches(self._batch)[: self.update_plan.per_epoch]
        return self.train_step.evaluated(self.state, self.knobs, update.progress, batches)

    def _begun(self, one: Start, splits: Splits) -> Weights:
        """Return a copy of the weights and buffers that the recipe has evaluated before the first update."""
        batches = splits.train.batches(self._batch)[: self.update_plan.per_epoch]
        with self._noise.block():
            self._noise.at("evaluation", 0)
            found = self.train_step.alone(one.recipe).evaluated(one.state, one.knobs, 0.0, batches)
        return tree_map(torch.clone, found)  # type: ignore[no-any-return]

    def _keep(self, weights: Weights, whose: Sequence[bool]) -> None:
        """Keep copies of the weights of some members."""
        if all(whose):
            self._kept = tree_map(torch.clone, weights)
        elif any(whose):  # some of several
            mask = torch.tensor(whose, device=self.train_step.device)

            def chosen(new: Tensor, old: Tensor) -> Tensor:
                return torch.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)

            self._kept = tree_map(chosen, weights, self._kept)

    def _of(self, tree: Tree, place: int) -> Tree:
        return member(tree, place) if self.train_step.lifted else tree

    def _end(self, going: Sequence[int], objectives: Sequence[float], weights: Weights) -> None:
        """Give the newest epochs of those that end with it, and with these weights, their outcomes."""
        ended = []
        for k in going:
            one = self.members[k]
            if one.idle:
                continue
            newest = one.epochs[-1]
            if not math.isfinite(objectives[k]):
                message = f"the training objective became {objectives[k]} in epoch {newest.number}"
                diverged = Outcome(status="diverged", message=message, kept=newest.kept)
                one.epochs[-1] = dataclasses.replace(newest, outcome=diverged)
            elif self._tried(k, lambda one=one: self._stops(one)):  # type: ignore[misc]  # bound now
                ended.append(k)
            elif one.idle:
                one.epochs.pop()
        for first in range(0, len(ended), ENDING):
            places = ended[first : first + ENDING]
            for k, seen in zip(places, self._last_pass(places, weights), strict=True):
                one = self.members[k]
                outcome = self._tried(k, lambda k=k, seen=seen: self._ending(k).outcome(seen))  # type: ignore[misc]  # bound now
                if outcome is None:
                    one.epochs.pop()
                else:
                    one.epochs[-1] = dataclasses.replace(one.epochs[-1], outcome=outcome)

    def _stops(self, one: Member) -> bool:
        return (not self.update_plan.fixed and one.recipe.stop(one.epochs)) or self.update_plan.over(one.epochs[-1])

    def _last_pass(self, places: Sequence[int], weights: Weights) -> list[Evaluated]:
        """Return how members do on their splits that have ended with these weights."""
        newest = [self.members[k].epochs[-1] for k in places]
        same = [epoch.kept == epoch.number for epoch in newest]
        if not self.train_step.lifted:
            return evaluated(self.train_step, self.knobs, self.data, self._kept, weights, same)
        filled = [*places, *[places[0]] * (ENDING - len(places))]
        index = torch.tensor(filled, device=self.train_step.device)
        knobs, kept, last = members(self.knobs, index), members(self._kept, index), members(weights, index)
        data = splits_beside([self._data.own[k] for k in filled]) if self._own_splits else self.data
        return evaluated(self.train_step, knobs, data, kept, last, same)

    def _ending(self, k: int) -> Ending:
        one = self.members[k]
        return Ending(
            train_step=self.train_step.alone(one.recipe),
            knobs=self._of(self.knobs, k),
            data=self._data.own[k],
            chosen=one.epochs[one.epochs[-1].kept - 1],
            begun=one.begun,
            kept=self.kept_at(k),
            tightness=one.trial.tightness,
        )
