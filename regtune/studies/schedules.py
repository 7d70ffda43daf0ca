"""Learning rates of the staircase and of cosine annealing with restarts: the formula beside what training used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import pandas as pd

from regtune.core.records import Json
from regtune.reports.figures._drawing import BLUE, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._trained import trained, trial_of

STEPS, CYCLES = 64, 150  # epochs


@dataclass(frozen=True, kw_only=True)
class Schedules(Study):
    """η_t = η_min + ½ (η_max - η_min) (1 + cos(π T_cur / T_i)), with restarts; and the staircase, ÷ 10 at milestones.

    Shown are the staircase of K. He et al., 0.1 with drops at half and at three quarters, and SGDR with T₀ = 10 and
    T_mult = 2 from 0.05 to 0, which begins anew at 10, 30 and 70 of 150 epochs. Measured: the learning rates that the
    epochs of trainings have on record. Source: K. He et al., "Deep Residual Learning" (CVPR 2016); I. Loshchilov, F.
    Hutter, "SGDR" (ICLR 2017), equation 5.
    """

    title: ClassVar[str] = "Learning rates: the staircase, and cosines with restarts"
    place: ClassVar[int] = 120

    def run(self) -> Findings:
        """Train with both and read what is on record."""
        stairs = _used({"name": "staircase", "factor": 0.1, "milestones": [0.5, 0.75]}, 0.1, STEPS)
        cosines = _used({"name": "cosine_restarts", "lowest": 0.0, "cycles": 4, "stretch": 2}, 0.05, CYCLES)
        drops = [0.1 * 0.1 ** ((2 * epoch >= STEPS) + (4 * epoch >= 3 * STEPS)) for epoch in range(STEPS)]
        formula = [_sgdr(epoch) for epoch in range(CYCLES)]
        restarts = [epoch for epoch in range(1, CYCLES) if cosines[epoch] > cosines[epoch - 1]]
        return Findings(
            comparisons=[
                Comparison(what="staircase", theory=drops, measured=stairs, tolerance=1e-6, relative=True),
                Comparison(what="cosine with restarts", theory=formula, measured=cosines, tolerance=1e-8),
                Comparison(
                    what="epochs after which it begins anew", theory=[10, 30, 70], measured=restarts, tolerance=0
                ),
            ],
            charts=[_chart({"staircase": (drops, stairs), "cosine with restarts": (formula, cosines)})],
        )


def _used(method: Json, rate: float, epochs: int) -> list[float]:
    data = {"name": "synthetic", "train": 16, "validation": 8, "test": 8, "side": 4}
    trial = trial_of(
        [method],
        data=data,
        network={"name": "mlp", "widths": [4]},
        optimizer={"name": "sgd", "learning_rate": rate},
        epochs=epochs,
        batch=8,
    )
    return [epoch.learning_rate or 0.0 for epoch in trained(trial).epochs[0]]


def _sgdr(epoch: float, first: float = 10.0, highest: float = 0.05) -> float:
    """Return the learning rate with which an epoch begins, as the paper counts: T_i doubles at each restart."""
    length = first
    while epoch >= length:
        epoch, length = epoch - length, 2 * length
    return highest / 2 * (1 + math.cos(math.pi * epoch / length))


def _chart(pairs: dict[str, tuple[list[float], list[float]]]) -> Drawn:
    rows = [
        {"epoch": epoch, "learning rate": rate, "schedule": name, "kind": kind}
        for name, both in pairs.items()
        for kind, rates in zip(("formula", "measured"), both, strict=True)
        for epoch, rate in enumerate(rates)
        if kind == "formula" or epoch % 2 == 0
    ]
    base = alt.Chart().encode(x=alt.X("epoch:Q", title="epochs before"), y="learning rate:Q")
    layers = alt.LayerChart(
        layer=[
            base.mark_line(color=ORANGE, interpolate="step-after").transform_filter("datum.kind == 'formula'"),
            base.mark_point(filled=True, color=BLUE, size=14).transform_filter("datum.kind == 'measured'"),
        ],
        data=pd.DataFrame(rows),
    )
    faceted = layers.properties(width=264, height=160).facet(
        facet=alt.Facet("schedule:N", title=None, sort=[*pairs]), columns=2
    )
    return Drawn(
        title="Learning rates",
        caption="Lines: the formulas. Points: the rate with which every second epoch began.",
        chart=faceted.resolve_scale(x="independent", y="independent"),
    )
