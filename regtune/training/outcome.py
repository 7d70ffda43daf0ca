"""What is said of a trial when it has ended: metrics of its weights on whole splits."""

from __future__ import annotations

from dataclasses import dataclass

from regtune.core.bitset import pack_bits
from regtune.core.records import Epoch, Outcome, finite
from regtune.core.state import Tensors
from regtune.data import Splits
from regtune.training.evaluation import Evaluation, evaluate, evaluate_collapse, sizes
from regtune.training.train_step import Knobs, TrainStep

Weights = tuple[Tensors, Tensors]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A trial that has ended after epoch `last`, the weights of epoch `chosen` being those that count.

    `begun` are the weights with which training began, `kept` and `newest` (params, buffers) of both epochs. The
    test split is opened where `data` has one.
    """

    train_step: TrainStep
    knobs: Knobs
    data: Splits
    chosen: Epoch
    last: Epoch
    begun: Tensors
    kept: Weights
    newest: Weights
    tightness: bool

    def outcome(self) -> Outcome:
        """Return how the trial ended."""
        data, kept = self.data, self.chosen.number
        metrics = {"val_accuracy": self.chosen.val_accuracy, "val_loss": self.chosen.val_loss}
        metrics |= self.chosen.asked
        metrics["val_ece"] = finite(evaluate(self.train_step, *self.kept, self.knobs, data.validation).ece)
        metrics |= evaluate(self.train_step, *self.kept, self.knobs, data.train).named("train")
        metrics |= {name: finite(value) for name, value in sizes(self.kept[0], self.begun).items()}
        metrics |= evaluate_collapse(self.train_step, *self.kept, self.knobs, data) if self.tightness else {}
        if data.test is None:
            return Outcome(status="ok", kept=kept, metrics=metrics)
        tested = evaluate(self.train_step, *self.kept, self.knobs, data.test, classwise=True)
        same = kept == self.last.number
        final: Evaluation = tested if same else evaluate(self.train_step, *self.newest, self.knobs, data.test)
        metrics |= tested.named("test") | {"test_ece": finite(tested.ece)}
        metrics |= {f"test_{name}": finite(value) for name, value in tested.classwise.items()}
        metrics |= {f"{name}_last": value for name, value in final.named("test").items()}
        return Outcome(status="ok", kept=kept, metrics=metrics, test_right=pack_bits(tested.right.numpy()))
