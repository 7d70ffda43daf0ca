"""Train: a trial goes in, epochs come out.

`train(trial)` is a generator and knows nothing of schedulers. Ray iterates over it, or a notebook does
(`*_, last = train(trial)`); to stop training, stop iterating.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from typing import Any, get_args

import torch

from regtune.core.errors import Refused, nearest, shown
from regtune.core.metric import CLASSWISE
from regtune.core.records import Epoch, Retrain, Trial
from regtune.core.state import Tensors
from regtune.data import Pool, Splits, joined
from regtune.networks import without_heads
from regtune.training.build import load_data, split_data
from regtune.training.lane import Lane
from regtune.training.process import prepare_process
from regtune.training.updates import UpdatePlan


def train(
    trial: Trial, *, data: Splits | Pool | None = None, resume: bytes | None = None, width: int = 1
) -> Iterator[Epoch]:
    """Train one trial and yield an `Epoch` after each epoch, the last one with its `Outcome`.

    `data` is what `load_data(trial, place)` returns, or a pool from which the trial takes its own splits. Without it
    the data set is loaded from the folder in REGTUNE_DATA. `resume` is a checkpoint of the same trial: the epochs after
    it are yielded, bit for bit equal to those of an uninterrupted run. In a lane of a `width` above 1, as the log names
    it, a trial has the bits that it has beside others there. This sets the number of threads of the process
    to that of the trial. Raises Refused for a trial that cannot be built.
    """
    prepare_process(trial.threads)
    return iter(Training(trial, data=data, resume=resume, width=width))


class Training:
    """One trial under way: an iterator over its epochs that can be saved between two of them.

    A confirm trial with `retrain` trains a second time, on training and validation examples together,
    after its first training has told for how long (I. Goodfellow et al., "Deep Learning" (2016),
    algorithms 7.2 and 7.3): from other initial weights for as many "updates" or as many "epochs" as lead
    to the epoch kept; or on from the weights kept, until the "loss" on the validation examples is as low
    as it was on the training examples, for `retrain_cap` epochs at most. In the last way the learning rate
    is that with which the kept epoch began; momentum and what methods remember begin anew.
    """

    def __init__(
        self, trial: Trial, *, data: Splits | Pool | None = None, resume: bytes | None = None, width: int = 1
    ) -> None:
        ways = get_args(Retrain)
        if trial.retrain not in ways:
            raise Refused(f"retrain: unknown way {shown(trial.retrain)}{nearest(trial.retrain, ways)}")
        if trial.retrain != "none" and trial.phase != "confirm":
            raise Refused("retrain: expected a confirm trial, search chooses by validation; set retrain to 'none'")
        if trial.metric and trial.metric not in CLASSWISE:
            raise Refused(
                f"metric: unknown metric {shown(trial.metric)}{nearest(trial.metric, CLASSWISE)}, or '' for none"
            )
        if width > 1 and trial.retrain != "none":
            raise Refused(f"width: expected 1 for a trial that is retrained, given {width}")
        self.trial = trial
        data = split_data(trial, data) if isinstance(data, Pool) else data
        self._data = load_data(trial) if data is None else data
        saved: dict[str, Any] = torch.load(io.BytesIO(resume), map_location="cpu", weights_only=True) if resume else {}
        self._first: Epoch | None = None  # the end of the first training, once it is over
        if "first" in saved:
            self._first = Epoch.from_plain(saved["first"])
            self._lane = self._second(None, resume=saved["lane"].numpy().tobytes())
        else:
            # Where a second training follows for sure, only its end is tested.
            again = trial.retrain in ("updates", "epochs")
            first = self._data.without_test() if again else self._data
            self._lane = Lane((trial,), data=first if width == 1 else [first], width=width, resume=resume)

    def __iter__(self) -> Iterator[Epoch]:
        return self

    def __next__(self) -> Epoch:
        """Train one epoch and return what was measured."""
        epoch, *_ = next(self._lane)
        if (error := self._lane.members[0].error) is not None:
            raise error
        if epoch is None:
            raise StopIteration
        if self._first is not None:
            return self._retrained(epoch)
        if self.trial.retrain == "none" or epoch.outcome is None or epoch.outcome.status != "ok":
            return epoch
        target, value = epoch.outcome.metrics["train_loss"], epoch.outcome.metrics["val_loss"]
        if self.trial.retrain == "loss" and target is not None and value is not None and value <= target:
            metrics = {**epoch.outcome.metrics, "retrain_epochs": 0.0, "target_reached": 1.0}
            return dataclasses.replace(epoch, outcome=dataclasses.replace(epoch.outcome, metrics=metrics))
        self._first = epoch
        self._lane = self._second(self._lane.kept[0] if self.trial.retrain == "loss" else None)
        return dataclasses.replace(epoch, outcome=None)

    def checkpoint(self) -> bytes:
        """Return all that is needed to go on from here, readable with `weights_only=True`."""
        lane = self._lane.checkpoint()
        if self._first is None:
            return lane
        buffer = io.BytesIO()
        torch.save({"first": self._first.plain(), "lane": torch.frombuffer(bytearray(lane), dtype=torch.uint8)}, buffer)
        return buffer.getvalue()

    def weights(self) -> bytes:
        """Return the weights that count, see `weights_of`."""
        return weights_of(self._lane.kept[0], self._data)

    def _second(self, weights: tuple[Tensors, Tensors] | None, resume: bytes | None = None) -> Lane:
        """Return the lane of the second training, from given weights or from fresh ones."""
        first, mode, batch = self._first, self.trial.retrain, self.trial.batch
        if first is None or first.outcome is None:
            raise ValueError("the second training begins when the first has ended")
        whole = dataclasses.replace(self._data, train=joined(self._data.train, self._data.validation))
        per_epoch = len(whole.train) // batch
        pace = len(self._data.train) // batch if mode == "updates" else per_epoch  # updates that count as an epoch
        done = first.outcome.kept * pace
        update_plan = UpdatePlan(budget=self.trial.epochs * pace, updates=done, per_epoch=per_epoch, fixed=True)
        if mode == "loss":
            target = first.outcome.metrics["train_loss"]
            update_plan = dataclasses.replace(
                update_plan,
                first=done,
                updates=self.trial.retrain_cap * per_epoch,
                held=(first.outcome.kept - 1) / self.trial.epochs,
                target=target,
            )
        # A seed below 0 belongs to the second training of a trial: no trial of a sweep has it.
        again = dataclasses.replace(self.trial, seed=-1 - self.trial.seed, retrain="none")
        return Lane((again,), data=whole, update_plan=update_plan, weights=weights, resume=resume)

    def _retrained(self, epoch: Epoch) -> Epoch:
        """Return an epoch of the second training as one of the whole trial."""
        first = self._first
        if first is None or first.outcome is None:
            raise ValueError("an epoch is retrained when the first training has ended")
        outcome = epoch.outcome
        if outcome is not None:
            metrics = {**outcome.metrics, "retrain_epochs": float(epoch.number)}
            metrics |= {name: value for name, value in first.outcome.metrics.items() if name.startswith("val_")}
            if self.trial.retrain == "loss":
                metrics.pop("distance", None)  # from the middle of the training, not from its beginning
            message = outcome.message
            target = first.outcome.metrics["train_loss"]
            if self.trial.retrain == "loss" and outcome.status == "ok":
                reached = target is not None and epoch.val_loss is not None and epoch.val_loss <= target
                metrics["target_reached"] = float(reached)
                if not reached:
                    aim = "that on training examples, which is not finite," if target is None else f"{target:.4g}"
                    message = (
                        f"retraining did not bring the validation loss down to {aim} "
                        f"within {self.trial.retrain_cap} epochs"
                    )
            outcome = dataclasses.replace(outcome, message=message, kept=first.outcome.kept, metrics=metrics)
        number = first.number + epoch.number
        return dataclasses.replace(epoch, number=number, kept=number, stage="retrain", outcome=outcome)


def weights_of(kept: tuple[Tensors, Tensors], data: Splits) -> bytes:
    """Return (params, buffers) and what they are weights of, readable with `weights_only=True`.

    `params` and `buffers` by name, on the CPU; the `shape` [C, H, W] of a picture; the number of `classes` and
    their `names`, where they have any; of a table its `columns`, each as its name, its values and whether it has gaps.
    """
    params, buffers = kept
    content: dict[str, Any] = {"params": _on_cpu(without_heads(params)), "buffers": _on_cpu(buffers)}
    shape = list(data.train.source.shape[1:])
    buffer = io.BytesIO()
    if data.columns:
        content["columns"] = [[column.name, list(column.values), column.gaps] for column in data.columns]
    torch.save(content | {"shape": shape, "classes": data.classes, "names": list(data.names)}, buffer)
    return buffer.getvalue()


def _on_cpu(tensors: Tensors) -> Tensors:
    return {name: value.cpu() for name, value in tensors.items()}
