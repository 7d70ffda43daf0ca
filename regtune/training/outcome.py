"""What is said of trials when they have ended: metrics of their weights on whole splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regtune.core.bitset import pack_bits
from regtune.core.records import Epoch, Outcome, finite
from regtune.core.state import Tensors
from regtune.data import Splits
from regtune.training.evaluation import Evaluation, evaluate, evaluate_collapse, sizes
from regtune.training.train_step import Knobs, TrainStep

Weights = tuple[Tensors, Tensors]


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One trial's weights that count on its splits, and the newest ones on the test split; None where there is none."""

    train: Evaluation
    val: Evaluation
    test: Evaluation | None
    test_newest: Evaluation | None


def evaluated(
    train_step: TrainStep, knobs: Knobs, data: Splits, kept: Weights, newest: Weights, same: Sequence[bool]
) -> list[Evaluated]:
    """Return how trials do that have ended, a pass over each split for all of them.

    With a member axis those that `same` says nothing of are passed along only. `same` says of each whether the weights
    `kept` are the `newest`. The test split is opened where `data` has one.
    """
    count = len(same)
    val = evaluate(train_step, *kept, knobs, data.validation, count=count)
    train = evaluate(train_step, *kept, knobs, data.train, count=count)
    if data.test is None:
        return [Evaluated(train=train[k], val=val[k], test=None, test_newest=None) for k in range(count)]
    test = evaluate(train_step, *kept, knobs, data.test, count=count, classwise=True)
    other = test if all(same) else evaluate(train_step, *newest, knobs, data.test, count=count)
    last = [test[k] if same[k] else other[k] for k in range(count)]
    return [Evaluated(train=train[k], val=val[k], test=test[k], test_newest=last[k]) for k in range(count)]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A trial that has ended, the weights of epoch `chosen` being those that count.

    `train_step`, `knobs`, `data` and `kept`, those weights (params, buffers), are without a member axis; `begun` are
    the weights with which training began.
    """

    train_step: TrainStep
    knobs: Knobs
    data: Splits
    chosen: Epoch
    begun: Tensors
    kept: Weights
    tightness: bool

    def outcome(self, seen: Evaluated) -> Outcome:
        """Return how the trial ended."""
        kept = self.chosen.number
        metrics = {"val_accuracy": self.chosen.val_accuracy, "val_loss": self.chosen.val_loss}
        metrics |= self.chosen.asked
        metrics["val_ece"] = finite(seen.val.ece)
        metrics |= seen.train.named("train")
        metrics |= {name: finite(value) for name, value in sizes(self.kept[0], self.begun).items()}
        metrics |= evaluate_collapse(self.train_step, *self.kept, self.knobs, self.data) if self.tightness else {}
        if seen.test is None or seen.test_newest is None:
            return Outcome(status="ok", kept=kept, metrics=metrics)
        metrics |= seen.test.named("test") | {"test_ece": finite(seen.test.ece)}
        metrics |= {f"test_{name}": finite(value) for name, value in seen.test.classwise.items()}
        metrics |= {f"{name}_last": value for name, value in seen.test_newest.named("test").items()}
        return Outcome(status="ok", kept=kept, metrics=metrics, test_right=pack_bits(seen.test.right.numpy()))
