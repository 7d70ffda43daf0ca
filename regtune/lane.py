"""A lane: the only training loop, with one member or, along a leading axis of every tensor, with many."""

from __future__ import annotations

import dataclasses
import io
import math
import time
from collections.abc import Iterator, Sequence

import torch

from regtune.assembly import assemble
from regtune.clock import Clock
from regtune.course import Course
from regtune.data import Splits, pixels
from regtune.ending import ending
from regtune.errors import Refused
from regtune.heap import keep_freed_memory
from regtune.measure import measure
from regtune.metric import METRICS
from regtune.noise import Noise
from regtune.program import Knobs, Moment
from regtune.records import Epoch, Outcome, Trial, finite
from regtune.state import State, Tensors, member

CLEAN_SUBSET = 1000  # training examples on which every epoch is measured


class Lane:
    """An iterator over the epochs of trials that train side by side, one tuple per epoch.

    The members share data set, network, batch, epochs, kinds of methods and optimizer; knobs, learning
    rates and seeds differ. A member that has ended yields None from then on. `data` are the splits of all, or
    of each in order, equal in size, where the seed of the split differs too. `course` says which updates are
    made, if not those of the whole budget; `weights` are (params, buffers) to begin with, for a lane of one.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        *,
        data: Splits | Sequence[Splits] | None = None,
        resume: bytes | None = None,
        course: Course | None = None,
        weights: tuple[Tensors, Tensors] | None = None,
    ) -> None:
        torch.set_num_threads(trials[0].threads)
        keep_freed_memory()
        self.trials = tuple(trials)
        parts = assemble(self.trials, data, weights)
        self.data, self._splits, self.program, self.recipes = parts.data, parts.splits, parts.program, parts.recipes
        self.knobs, self.state, self._seeds, self._dtype = parts.knobs, parts.state, parts.seeds, parts.dtype
        per_epoch = len(self.data.train) // trials[0].batch
        whole = trials[0].epochs * per_epoch
        self.course = course or Course(budget=whole, updates=whole, per_epoch=per_epoch)
        self.epochs: list[list[Epoch]] = [[] for _ in trials]
        begun = self._evaluated(0.0)
        self.kept: list[tuple[Tensors, Tensors]] = [self._copied(begun, k) for k in range(len(trials))]
        self._begun = [params for params, _ in self.kept]
        if resume is not None:
            self._restore(resume)

    def __iter__(self) -> Iterator[tuple[Epoch | None, ...]]:
        return self

    def __next__(self) -> tuple[Epoch | None, ...]:
        """Train one epoch and return what was measured, per member."""
        if all(self._ended(k) for k in range(len(self.trials))):
            raise StopIteration
        started = time.perf_counter()
        number = max(len(epochs) for epochs in self.epochs) + 1
        moments = self.course.moments(number)
        rates = self.program.learning_rates(self.knobs, moments[0].progress)
        clock = Clock(self.program.device)
        objectives, branches, gradients = self._pass(number, moments, clock)
        spent = clock.seconds()
        weights = self._evaluated(moments[-1].progress)
        val = measure(self.program, *weights, self.knobs, self.data.validation, self.trials[0].metric)
        clean = measure(self.program, *weights, self.knobs, self.data.train.first(CLEAN_SUBSET))
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
            if not self.course.fixed:
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
        buffer = io.BytesIO()
        torch.save(
            {
                "trials": [trial.id for trial in self.trials],
                "state": tuple(self.state),
                "kept": self.kept,
                "epochs": [[epoch.plain() for epoch in epochs] for epochs in self.epochs],
            },
            buffer,
        )
        return buffer.getvalue()

    def _restore(self, checkpoint: bytes) -> None:
        saved = torch.load(io.BytesIO(checkpoint), map_location=self.program.device, weights_only=True)
        ids = [trial.id for trial in self.trials]
        if saved["trials"] != ids:
            raise Refused(f"resume: the checkpoint is of {saved['trials']}, expected {ids}")
        self.state = State(*saved["state"])
        self.kept = saved["kept"]
        self.epochs = [[Epoch.from_plain(row) for row in rows] for rows in saved["epochs"]]

    def _pass(self, number: int, moments: Sequence[Moment], clock: Clock) -> tuple[list[float], float, float]:
        """Train on full batches; return each member's mean objective; branches and gradients per update."""
        first, train = self.trials[0], self.data.train
        orders = torch.stack(
            [
                Noise(seed=trial.seed, step=number, prefix="order/").permutation("epoch", len(train))
                for trial in self.trials
            ]
        ).to(train.index.device)
        index = orders if self.program.lifted else orders[0]
        eye = torch.eye(self.data.classes, dtype=self._dtype, device=self.program.device)
        total, branches, gradients = torch.zeros((), device=self.program.device), 0, 0
        for i, moment in enumerate(moments):
            clock.mark("data")
            batch = index[..., i * first.batch : (i + 1) * first.batch]
            x, y = pixels(train.pictures(batch), self._dtype), eye[train.answers(batch)]
            stepped = self.program.step(self.state, self.knobs, self._seeds, moment, x, y, clock)
            self.state, total = stepped.state, total + stepped.objective
            branches, gradients = branches + stepped.branches, gradients + stepped.gradients
        clock.mark("end")
        means = [value.item() for value in (total / len(moments)).reshape(-1)]
        return means, branches / len(moments), gradients / len(moments)

    def _evaluated(self, progress: float) -> tuple[Tensors, Tensors]:
        """Return the weights and buffers that the recipe has evaluated at this share of the budget."""
        batches = self.data.train.batches(self.trials[0].batch)[: self.course.per_epoch]
        return self.program.evaluated(self.state, self.knobs, progress, batches)

    def _copied(self, weights: tuple[Tensors, Tensors], k: int) -> tuple[Tensors, Tensors]:
        """Return a copy of one member's part."""
        if self.program.lifted:
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
        stopped = not self.course.fixed and self.recipes[k].stop(self.epochs[k])
        if not stopped and not self.course.over(newest):
            return None
        done = newest.kept == newest.number
        return ending(
            self.trials[k],
            self.program.alone(),
            self._own(k),
            self._splits[k],
            chosen=self.epochs[k][newest.kept - 1],
            begun=self._begun[k],
            kept=self.kept[k],
            last=None if done else self._copied(weights, k),
        )

    def _own(self, k: int) -> Knobs:
        """Return one member's knobs."""
        return member(self.knobs, k) if self.program.lifted else self.knobs
