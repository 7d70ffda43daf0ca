"""Early stopping step by step: when it ends, what it keeps, by which measure, and what retraining makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import pandas as pd

from regtune.core.records import Epoch, Json, Outcome, Retrain
from regtune.regularizers.early_stopping import EarlyStopping
from regtune.reports.figures._drawing import BLUE, ORANGE
from regtune.reports.tables._table import Table
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._noise import noise_of
from regtune.studies._trained import trained, trial_of
from regtune.training.trainer import train

CURVE = (0.50, 0.40, 0.42, 0.41, 0.39, 0.40, 0.41, 0.42)
PATIENCES = (1, 2, 3, 4)
DRAWN, LONG = 200, 40
SEEDS, EPOCHS, BATCH, CAP = 10, 40, 20, 30
FEW = {"name": "digits", "train": 60, "validation": 400}
SPLIT = {"name": "digits", "train": 100, "validation": 200}
FAST = {"name": "sgd", "learning_rate": 0.1}
ANNEALED = {"name": "staircase", "factor": 0.001, "milestones": [0.2]}


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingTrace(Study):
    """Stop after p evaluations that are not better than the best, and return to θ* of step i*.

    Where the measure is the 0-1 loss in place of its surrogate, the log-likelihood, i* is often later (with 20 % of the
    labels wrong it was so in none of 10 trainings). Both ways of
    retraining are dangerous: as many updates are fewer passes over more examples, and the loss on the former validation
    examples may never come down to that on the training examples. Measured: the product's EarlyStopping on a given
    curve and on 200 drawn ones, beside the algorithm line by line; trainings on digits. Source:
    I. Goodfellow et al., "Deep Learning" (2016), algorithms 7.1 to 7.3.
    """

    title: ClassVar[str] = "Early stopping: the algorithm on a curve"
    place: ClassVar[int] = 50

    def run(self) -> Findings:
        """Stop on curves, then train and retrain."""
        given = [_stopped(CURVE, patience) for patience in PATIENCES]
        curves = (noise_of("early_stopping_trace").below(12, "curves", (DRAWN, LONG)) / 10).tolist()
        curves = [[math.nan if value > 1 else value for value in curve] for curve in curves]
        pairs = [(curve, patience) for curve in curves for patience in PATIENCES]
        runs = [
            trained(trial_of(data=FEW, optimizer=FAST, epochs=EPOCHS, batch=BATCH, seed=seed)).epochs[0]
            for seed in range(SEEDS)
        ]
        nll, error = [_best(run, "val_loss") for run in runs], [_best(run, "val_error") for run in runs]
        later = sum(a > b for a, b in zip(error, nll, strict=True))
        again: dict[Retrain, Outcome] = {way: _retrained(way) for way in ("updates", "epochs", "loss")}
        held = _retrained("loss", ANNEALED)
        kept = [again[way].kept for way in ("updates", "epochs")]
        return Findings(
            comparisons=[
                Comparison(
                    what="epochs trained and i* for p = 1, 2, 3, 4",
                    theory=[(3, 2), (4, 2), (8, 5), (8, 5)],
                    measured=given,
                    tolerance=0,
                ),
                Comparison(
                    what=f"the same on {DRAWN} drawn curves with ties and NaN",
                    theory=[_algorithm(*pair) for pair in pairs],
                    measured=[_stopped(*pair) for pair in pairs],
                    tolerance=0,
                ),
                Comparison(
                    what="passes of retraining: i* · 100 / 300 by updates, i* by epochs",
                    theory=[math.ceil(kept[0] / 3), kept[1]],
                    measured=[again[way].metrics["retrain_epochs"] or 0.0 for way in ("updates", "epochs")],
                    tolerance=0,
                ),
                Comparison(
                    what="retraining to the loss reaches its target after annealing to a thousandth",
                    theory=1,
                    measured=held.metrics["target_reached"] or 0.0,
                    tolerance=0,
                    fails=True,
                ),
            ],
            sentences=[
                f"In {later} of {SEEDS} trainings the 0-1 loss on validation examples is lowest later than the "
                f"log-likelihood, in the mean at epoch {sum(error) / SEEDS:.1f} and not at {sum(nll) / SEEDS:.1f}.",
                f"After the learning rate was annealed to a thousandth, {held.message}.",
            ],
            tables=[_table(again)],
            charts=[_chart(runs[0])],
        )


def _stopped(curve: Sequence[float], patience: int) -> tuple[int, int]:
    """Return after how many epochs of this validation loss the product stops, and which one it keeps."""
    method, epochs = EarlyStopping(patience=patience), list[Epoch]()
    for number, value in enumerate(curve, start=1):
        epochs.append(_epoch(number, value))
        if method.stop(epochs):
            break
    return len(epochs), method.keep(epochs)


def _epoch(number: int, value: float) -> Epoch:
    return Epoch(
        number=number,
        objective=0.0,
        train_accuracy=0.0,
        train_loss=0.0,
        val_accuracy=0.0,
        val_loss=value if math.isfinite(value) else None,
        learning_rate=0.1,
        kept=number,
        seconds=0.0,
    )


def _algorithm(curve: Sequence[float], patience: int) -> tuple[int, int]:
    """Return the same by the algorithm of the lecture, with n = 1 and where the curve ends."""
    i, j, v, best = 0, 0, math.inf, 0
    while j < patience and i < len(curve):
        i += 1
        if curve[i - 1] < v:
            j, v, best = 0, curve[i - 1], i
        else:
            j += 1
    return i, best or 1


def _best(epochs: Sequence[Epoch], monitor: str) -> int:
    return EarlyStopping(patience=EPOCHS, monitor=monitor).keep(epochs)


def _retrained(way: Retrain, *more: Json) -> Outcome:
    """Return how a training with early stopping, and more methods, ends that is then retrained in one of the ways."""
    stopping = {"name": "early_stopping", "patience": 3}
    trial = trial_of(
        [stopping, *more], data=SPLIT, epochs=EPOCHS, batch=BATCH, phase="confirm", retrain=way, retrain_cap=CAP
    )
    *_, last = train(trial)
    if last.outcome is None:
        raise ValueError("the last epoch of a training has an outcome")
    return last.outcome


def _table(again: dict[Retrain, Outcome]) -> Table:
    rows = [
        {
            "retraining": way,
            "i*": str(outcome.kept),
            "passes over all": f"{outcome.metrics['retrain_epochs']:.0f}",
            "test error, %": f"{100 - 100 * (outcome.metrics['test_accuracy'] or 0.0):.1f}",
        }
        for way, outcome in again.items()
    ]
    return Table(title="Ways of retraining, one training each", caption="", frame=pd.DataFrame(rows))


def _chart(epochs: Sequence[Epoch]) -> Drawn:
    rows = [
        {"epoch": epoch.number, "value": value, "measure": measure, "kept": epoch.number == _best(epochs, monitor)}
        for epoch in epochs
        for measure, monitor, value in (
            ("log-likelihood, negative", "val_loss", epoch.val_loss),
            ("0-1 loss", "val_error", 1 - (epoch.val_accuracy or 0.0)),
        )
    ]
    base = alt.Chart().encode(x="epoch:Q", y=alt.Y("value:Q", title="on validation examples"))
    layers = alt.LayerChart(
        layer=[
            base.mark_line(color=BLUE),
            base.mark_point(filled=True, size=70, color=ORANGE, opacity=1).transform_filter("datum.kept"),
        ],
        data=pd.DataFrame(rows),
    )
    faceted = layers.properties(width=264, height=150).facet(facet=alt.Facet("measure:N", title=None), columns=2)
    return Drawn(
        title="Two measures, two best epochs",
        caption="One training on digits with 60 training examples. The point is the epoch that early stopping keeps.",
        chart=faceted.resolve_scale(y="independent"),
    )
