"""A lane: the only training loop, with one member or, along a leading axis of every tensor, with many."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from regtune.core.global_rng import LaneNoise
from regtune.core.metric import METRICS
from regtune.core.records import Epoch, Outcome, Trial, finite
from regtune.core.rng import Rng
from regtune.core.state import Tensors, TrainState, member
from regtune.data import Splits, pixels
from regtune.training.assembly import assemble, device_of
from regtune.training.evaluation import measure
from regtune.training.outcome import Ending
from regtune.training.snapshot import Snapshot
from regtune.training.step_timer import StepTimer
from regtune.training.train_step import Knobs, Stepped, Update
from regtune.training.updates import UpdatePlan

CLEAN_SUBSET = 1000  # training examples on which every epoch is measured


class Lane:
    """An iterator over the epochs of trials that train side by side, one tuple per epoch.

    The members share data set, network, batch, epochs, kinds of methods and optimizer; knobs, learning rates and seeds
    differ. A member that has ended yields None from then on. `data` are the splits of all, or of each in order, equal
    in size, where the seed of the split differs too. `update_plan` says which updates are made, if not those of the
    whole budget; `weights` are (params, buffers) to begin with, for a lane of one.

    The process is left as it is: see `process.prepare_process` for its threads.

    What a user's code draws from global random states is seeded for each step where there is one trial, and refused
    where there are several, which would share it; the states are then as they were. See `core.global_rng`.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        *,
        data: Splits | Sequence[Splits] | None = None,
        resume: bytes | None = None,
        update_plan: UpdatePlan | None = None,
        weights: tuple[Tensors, Tensors] | None = None,
    ) -> None:
        self.trials = tuple(trials)
        device = device_of(trials[0])
        parts = assemble(self.trials, data, weights)
        self.data, self._splits, self.train_step, self.recipes = (
            parts.data,
            parts.splits,
            parts.train_step,
            parts.recipes,
        )
        self.knobs, self.state, self._seeds, self._dtype = parts.knobs, parts.state, parts.seeds, parts.dtype
        self._eye = torch.eye(self.data.classes, dtype=self._dtype, device=device)
        per_epoch = len(self.data.train) // trials[0].batch
        whole = trials[0].epochs * per_epoch
        self.update_plan = update_plan or UpdatePlan(budget=whole, updates=whole, per_epoch=per_epoch)
        self.epochs: list[list[Epoch]] = [[] for _ in trials]
        self._noise = LaneNoise(present=bool(trials[0].plugins), seeds=[trial.seed for trial in trials], device=device)
        with self._noise.block():
            self._noise.at("evaluation", 0)
            begun = self._evaluated(0.0)
        self.kept: list[tuple[Tensors, Tensors]] = [self._copied(begun, k) for k in range(len(trials))]
        self._begun = [params for params, _ in self.kept]
        if resume is not None:
            then = Snapshot.read(resume, [trial.id for trial in trials], device)
            self.state, self.kept, self.epochs = then.state, then.kept, then.epochs

    def __iter__(self) -> Iterator[tuple[Epoch | None, ...]]:
        return self

    def __next__(self) -> tuple[Epoch | None, ...]:
        """Train one epoch and return what was measured, per member."""
        if all(self._ended(k) for k in range(len(self.trials))):
            raise StopIteration
        with self._noise.block():
            return self._epoch()

    def _epoch(self) -> tuple[Epoch | None, ...]:
        started = time.perf_counter()
        number = max(len(epochs) for epochs in self.epochs) + 1
        updates = self.update_plan.in_epoch(number)
        rates = self.train_step.learning_rates(self.knobs, updates[0].progress)
        timer = StepTimer(self.train_step.device)
        objectives, branches, gradients = self._pass(number, updates, timer)
        spent = timer.seconds()
        self._noise.at("evaluation", number)
        weights = self._evaluated(updates[-1].progress)
        val = measure(self.train_step, *weights, self.knobs, self.data.validation, self.trials[0].metric)
        clean = measure(self.train_step, *weights, self.knobs, self.data.train.first(CLEAN_SUBSET))
        seconds = time.perf_counter() - started
        result: list[Epoch | None] = []
        for k, recipe in enumerate(self.recipes):
            if self._ended(k):
                result.append(None)
                continue
            epoch = Epoch(
                number=number,
                objective=finite(objectives[k]),
                train_accuracy=clean[k].accuracy,
                train_loss=finite(clean[k].loss),
                val_accuracy=val[k].accuracy,
                val_loss=finite(val[k].loss),
                learning_rate=finite(rates[k]),
                kept=number,
                branches=branches,
                gradients=gradients,
                seconds=seconds,
                data_share=spent["data"] / sum(spent.values()),
            )
            if metric := self.trials[k].metric:
                epoch = dataclasses.replace(epoch, **{METRICS[metric].val: finite(val[k].asked)})  # type: ignore[arg-type]  # the field of that name
            if not self.update_plan.fixed:
                epoch = dataclasses.replace(epoch, kept=recipe.keep([*self.epochs[k], epoch]))
            self.epochs[k].append(epoch)
            if epoch.kept == number:
                self.kept[k] = self._copied(weights, k)
            outcome = self._outcome(k, objectives[k], weights)
            self.epochs[k][-1] = dataclasses.replace(epoch, outcome=outcome)
            result.append(self.epochs[k][-1])
        return tuple(result)

    def checkpoint(self) -> bytes:
        """Return all that is needed to go on from here, readable with `weights_only=True`."""
        ids = [trial.id for trial in self.trials]
        return Snapshot(trials=ids, state=self.state, kept=self.kept, epochs=self.epochs).content()

    def _pass(self, number: int, updates: Sequence[Update], timer: StepTimer) -> tuple[list[float], float, float]:
        """Train on full batches; return each member's mean objective; branches and gradients per update."""
        first, train = self.trials[0], self.data.train
        orders = torch.stack(
            [
                Rng(seed=trial.seed, step=number, prefix="order/").permutation("epoch", len(train))
                for trial in self.trials
            ]
        ).to(train.index.device)
        index = orders if self.train_step.lifted else orders[0]
        total, branches, gradients = torch.zeros((), device=self.train_step.device), 0, 0
        for i, update in enumerate(updates):
            timer.mark("data")
            self._noise.at("step", update.step)
            stepped = self.step(self.state, update, index[..., i * first.batch : (i + 1) * first.batch], timer)
            self.state, total = stepped.state, total + stepped.objective
            branches, gradients = branches + stepped.branches, gradients + stepped.gradients
        timer.mark("end")
        means = [value.item() for value in (total / len(updates)).reshape(-1)]
        return means, branches / len(updates), gradients / len(updates)

    def step(self, state: TrainState, update: Update, places: Tensor, timer: StepTimer | None = None) -> Stepped:
        """Take one step from a state, which is updated in place, on the training examples at places [..., batch]."""
        x, y = self.pictures(places), self._eye[self.data.train.answers(places)]
        return self.train_step.step(state, self.knobs, self._seeds, update, x, y, timer)

    def pictures(self, places: Tensor) -> Tensor:
        """Return the training pictures at places as they enter a step."""
        return pixels(self.data.train.pictures(places), self._dtype)

    def _evaluated(self, progress: float) -> tuple[Tensors, Tensors]:
        """Return the weights and buffers that the recipe has evaluated at this share of the budget."""
        batches = self.data.train.batches(self.trials[0].batch)[: self.update_plan.per_epoch]
        return self.train_step.evaluated(self.state, self.knobs, progress, batches)

    def _copied(self, weights: tuple[Tensors, Tensors], k: int) -> tuple[Tensors, Tensors]:
        """Return a copy of one member's part."""
        if self.train_step.lifted:
            return member(weights, k)
        params, buffers = ({name: t.clone() for name, t in part.items()} for part in weights)
        return params, buffers

    def _ended(self, k: int) -> bool:
        return bool(self.epochs[k]) and self.epochs[k][-1].outcome is not None

    def _outcome(self, k: int, objective: float, weights: tuple[Tensors, Tensors]) -> Outcome | None:
        """Return how member k ended with its newest epoch and these weights, or None if it goes on."""
        newest = self.epochs[k][-1]
        if not math.isfinite(objective):
            message = f"the training objective became {objective} in epoch {newest.number}"
            return Outcome(status="diverged", message=message, kept=newest.kept)
        if (self.update_plan.fixed or not self.recipes[k].stop(self.epochs[k])) and not self.update_plan.over(newest):
            return None
        return Ending(
            train_step=self.train_step.alone(),
            knobs=self._own(k),
            data=self._splits[k],
            chosen=self.epochs[k][newest.kept - 1],
            last=newest,
            begun=self._begun[k],
            kept=self.kept[k],
            newest=self._copied(weights, k),
            tightness=self.trials[k].tightness,
        ).outcome()

    def _own(self, k: int) -> Knobs:
        """Return one member's knobs."""
        return member(self.knobs, k) if self.train_step.lifted else self.knobs
