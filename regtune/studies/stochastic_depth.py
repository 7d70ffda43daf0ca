"""Stochastic depth: how often each block survives, and how many blocks are really run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import pandas as pd
import torch

from regtune.networks import Branch, Slot
from regtune.regularizers import Step
from regtune.regularizers.stochastic_depth import StochasticDepth as Method
from regtune.reports.figures._drawing import BLUE, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._noise import noise_of
from regtune.studies._trained import trained, trial_of

BLOCKS = 54  # as a ResNet of 110 layers
LASTS = (1.0, 0.8, 0.5, 0.2)  # p_L
EPOCHS, PER_EPOCH = 8, 10
DRAWS = 10_000


@dataclass(frozen=True, kw_only=True)
class StochasticDepth(Study):
    """p_l = 1 - (l / L) (1 - p_L): of L blocks (3L - 1) / 4 are run on average at p_L = 0.5, 40.25 of 54.

    In general E = L - (L + 1) (1 - p_L) / 2, with standard deviation √(Σ p_l (1 - p_l)) from one batch to the next.
    Measured: how often the product's StochasticDepth leaves each of 54 blocks in, and the residual branches that a
    training of a network of 54 blocks has on record as run. Source: G. Huang et al., "Deep Networks with Stochastic
    Depth" (ECCV 2016), equation 4 and section 3.
    """

    title: ClassVar[str] = "Stochastic depth: survival, and blocks really run"
    place: ClassVar[int] = 150

    def run(self) -> Findings:
        """Count what is run, for each survival of the last block."""
        rules = {last: [1 - number / BLOCKS * (1 - last) for number in range(1, BLOCKS + 1)] for last in LASTS}
        survived = [_survived(number, 0.5) for number in range(1, BLOCKS + 1)]
        ran = [_run(last) for last in LASTS]
        expected = [BLOCKS - (BLOCKS + 1) * (1 - last) / 2 for last in LASTS]
        errors = [math.sqrt(sum(p * (1 - p) for p in rules[last]) / (EPOCHS * PER_EPOCH)) for last in LASTS[1:]]
        return Findings(
            comparisons=[
                Comparison(
                    what="survival of block l, p_L = 0.5: within 4 standard errors",
                    theory=rules[0.5],
                    measured=survived,
                    tolerance=4 * math.sqrt(0.25 / DRAWS),
                ),
                Comparison(what="blocks run, p_L = 1", theory=BLOCKS, measured=ran[0], tolerance=0),
                Comparison(
                    what="blocks run per update, in standard errors",
                    theory=[0.0] * len(errors),
                    measured=[(a - b) / e for a, b, e in zip(ran[1:], expected[1:], errors, strict=True)],
                    tolerance=3,
                ),
            ],
            sentences=[
                f"At p_L = 0.5 {ran[2]:.2f} of {BLOCKS} blocks were run per update, {expected[2]:.2f} were expected: "
                f"{100 * (1 - ran[2] / BLOCKS):.0f} % of the blocks of a training are saved."
            ],
            charts=[_chart(rules[0.5], survived)],
        )


def _survived(number: int, last: float) -> float:
    """Return the share of examples for which block `number` is left in, one draw for each."""
    method, slot = Method(p_last=last, per="example"), Slot("residual")
    slot.number, slot.count = number, BLOCKS
    now = Step(noise=noise_of("stochastic_depth"), progress=0.0, learning_rate=0.0)
    module = torch.nn.Identity()
    return float(method.bend(Branch(module=module, run=module), slot, now)(torch.ones(DRAWS, 1)).mean())


def _run(last: float) -> float:
    """Return how many residual branches were run per update."""
    trial = trial_of(
        [{"name": "stochastic_depth", "p_last": last}],
        network={"name": "mlp", "widths": [8] * (BLOCKS + 1), "residual": True},
        optimizer={"name": "sgd", "learning_rate": 1e-4},
        epochs=EPOCHS,
        batch=200 // PER_EPOCH,
    )
    return sum(epoch.branches for epoch in trained(trial).epochs[0]) / EPOCHS


def _chart(rule: list[float], survived: list[float]) -> Drawn:
    rows = [
        {"block l": number, "survival": value, "kind": kind}
        for kind, values in (("formula", rule), ("measured", survived))
        for number, value in enumerate(values, start=1)
    ]
    y = alt.Y("survival:Q", scale=alt.Scale(domain=[0, 1]), title="survival p_l")
    base = alt.Chart(pd.DataFrame(rows)).encode(x="block l:Q", y=y)
    return Drawn(
        title="Survival by block",
        caption=f"Line: 1 - (l / L) (1 - p_L), p_L = 0.5. Points: the share of {DRAWS:,} draws that leave a block in.",
        chart=alt.LayerChart(
            layer=[
                base.mark_line(color=ORANGE).transform_filter("datum.kind == 'formula'"),
                base.mark_point(filled=True, color=BLUE, size=20).transform_filter("datum.kind == 'measured'"),
            ]
        ).properties(width=400, height=200),
    )
