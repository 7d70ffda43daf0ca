"""What is measured of a trial that ends well, at the epoch whose weights count."""

from __future__ import annotations

from regtune.bits import packed
from regtune.data import Splits
from regtune.measure import examine, sizes, tightness
from regtune.program import Knobs, Program
from regtune.records import Epoch, Outcome, Trial, finite
from regtune.state import Tensors

Weights = tuple[Tensors, Tensors]  # params, buffers


def ending(
    trial: Trial,
    program: Program,
    knobs: Knobs,
    data: Splits,
    *,
    chosen: Epoch,
    begun: Tensors,
    kept: Weights,
    last: Weights | None,
) -> Outcome:
    """Return the outcome of a trial that kept the epoch `chosen` with the weights `kept`.

    `program` and `knobs` are for a network alone. `begun` are the weights with which training began, `last` those
    with which it ended, None where they are those kept. Without a test split nothing is measured on it.
    """
    metrics = {"val_accuracy": chosen.val_accuracy, "val_loss": chosen.val_loss} | chosen.asked
    metrics["val_ece"] = finite(examine(program, *kept, knobs, data.validation).ece)
    metrics |= examine(program, *kept, knobs, data.train).named("train")
    metrics |= {name: finite(value) for name, value in sizes(kept[0], begun).items()}
    metrics |= tightness(program, *kept, knobs, data) if trial.tightness else {}
    if data.test is None:
        return Outcome(status="ok", kept=chosen.number, metrics=metrics)
    tested = examine(program, *kept, knobs, data.test, classwise=True)
    at_end = tested if last is None else examine(program, *last, knobs, data.test)
    metrics |= tested.named("test") | {"test_ece": finite(tested.ece)}
    metrics |= {f"test_{name}": finite(value) for name, value in tested.classwise.items()}
    metrics |= {f"{name}_last": value for name, value in at_end.named("test").items()}
    return Outcome(status="ok", kept=chosen.number, metrics=metrics, test_right=packed(tested.right.numpy()))
