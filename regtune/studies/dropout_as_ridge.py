"""Dropout of the inputs of a linear regression is a ridge whose strength goes with the size of each input."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from regtune.networks import Bend, Slot
from regtune.regularizers.dropout import Dropout
from regtune.reports.figures._drawing import BLUE, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._descent import descended, in_float32
from regtune.studies._masks import masked_step
from regtune.studies._noise import noise_of

KEPT = (0.9, 0.75, 0.5, 0.25)  # p, the probability to keep, as in the paper
SCALES = (2.0, 1.0, 1.0, 0.5, 0.25)  # of the inputs
EXAMPLES, COPIES, UPDATES = 20, 200, 900
RATES = {"test": 0.4, "train": 0.1}  # the latter has steeper losses


@dataclass(frozen=True, kw_only=True)
class DropoutAsRidge(Study):
    """min E‖y - (R∗X)w‖² = min ‖y - pXw‖² + p(1 - p) ‖Γw‖², Γ = diag(X'X)^½: w = (p²X'X + p(1 - p)Γ²)⁻¹ pX'y.

    R∗X keeps each input with probability p, so a linear regression with dropout is a ridge regression that shrinks
    inputs that vary more by more; with w̃ = pw, the weights of scaling in training, its strength is (1 - p) / p.
    Measured: SGD on the mean over all 2⁵ masks of the product's Dropout, and SGD with masks that it draws anew in every
    update. Source: N. Srivastava et al., "Dropout" (JMLR 2014), section 9.1.
    """

    title: ClassVar[str] = "Dropout of inputs is a ridge, in expectation"
    place: ClassVar[int] = 90

    def run(self) -> Findings:
        """Train with all masks and with drawn masks, for each p and both scalings."""
        noise = noise_of("dropout_as_ridge")
        inputs = noise.normal("inputs", (EXAMPLES, len(SCALES))).double() * torch.tensor(SCALES)
        targets = inputs @ noise.normal("weights", (len(SCALES),)).double() + noise.normal("noise", (EXAMPLES,))
        theory = torch.stack([_ridge(inputs, targets, in_float32(1 - kept)) for kept in KEPT])
        keeps = torch.tensor([1 - in_float32(1 - kept) for kept in KEPT], dtype=torch.float64)[:, None]
        every = {
            scaling: torch.stack([_every_mask(inputs, targets, 1 - kept, scaling) for kept in KEPT])
            for scaling in ("test", "train")
        }
        drawn = torch.stack([_drawn_masks(inputs, targets, 1 - kept) for kept in KEPT])
        plain = torch.linalg.lstsq(inputs, targets[:, None]).solution[:, 0]
        return Findings(
            comparisons=[
                Comparison(
                    what="w over all masks, scaled at test", theory=theory, measured=every["test"], tolerance=1e-9
                ),
                Comparison(
                    what="w̃ = pw over all masks, scaled in training",
                    theory=keeps * theory,
                    measured=every["train"],
                    tolerance=1e-9,
                ),
                Comparison(
                    what="w̃ with masks drawn anew, mean of the last updates",
                    theory=keeps * theory,
                    measured=drawn,
                    tolerance=0.02,
                ),
                Comparison(
                    what="w̃ beside least squares without dropout",
                    theory=plain.expand_as(drawn),
                    measured=drawn,
                    tolerance=0.02,
                    fails=True,
                ),
            ],
            charts=[_chart(inputs, targets, drawn)],
        )


def _ridge(inputs: Tensor, targets: Tensor, dropped: float) -> Tensor:
    p, gram = 1 - dropped, inputs.T @ inputs
    ridge: Tensor = torch.linalg.solve(p**2 * gram + p * (1 - p) * gram.diag().diag(), p * inputs.T @ targets)
    return ridge


def _every_mask(inputs: Tensor, targets: Tensor, dropped: float, scaling: str) -> Tensor:
    """Return what training ends with when the loss is the mean over all masks, each by its probability."""
    slot = Slot("input")
    masks = torch.tensor([*itertools.product([0.0, 1.0], repeat=len(SCALES))], dtype=torch.float64)
    p = 1 - in_float32(dropped)  # as the step has it
    chances = (masks * p + (1 - masks) * (1 - p)).prod(1)
    method = Dropout(p_input=in_float32(dropped), scaling=scaling)
    bent = torch.stack([method.bend(inputs, slot, masked_step(mask.expand_as(inputs))) for mask in masks])

    def loss(w: Tensor, bend: Bend) -> Tensor:
        squares = (targets - bent @ w[0]).square().sum(1)
        mean: Tensor = (chances * squares).sum() / (2 * EXAMPLES)
        return mean

    start = torch.zeros(1, len(SCALES), dtype=torch.float64)
    return descended(loss, start, [], learning_rate=RATES[scaling], updates=900, momentum=0.9)[-1, 0]


def _drawn_masks(inputs: Tensor, targets: Tensor, dropped: float) -> Tensor:
    """Return the mean of the weights of the last two thirds of a training that draws a mask for every copy."""
    copies, answers, slot = inputs.repeat(COPIES, 1), targets.repeat(COPIES), Slot("input")

    def loss(w: Tensor, bend: Bend) -> Tensor:
        bent: Tensor = bend(copies, slot)
        squares: Tensor = (answers - bent @ w[0]).square()
        return squares.sum() / (2 * len(answers))

    start = torch.zeros(1, len(SCALES), dtype=torch.float64)
    path = descended(loss, start, [Dropout(p_input=dropped)], learning_rate=0.05, updates=UPDATES, momentum=0.9)
    return path[UPDATES // 3 :, 0].mean(0)


def _chart(inputs: Tensor, targets: Tensor, drawn: Tensor) -> Drawn:
    grid = [step / 40 for step in range(1, 40)]
    rows = [
        {"p": p, "w̃": float(weight), "input": f"scale {scale:g}, input {place}", "kind": kind}
        for kind, pairs in (
            ("formula", [(p, p * _ridge(inputs, targets, 1 - p)) for p in grid]),
            ("measured", zip(KEPT, drawn, strict=True)),
        )
        for p, weights in pairs
        for place, (scale, weight) in enumerate(zip(SCALES, weights, strict=True), start=1)
    ]
    x = alt.X("p:Q", title="probability p to keep", scale=alt.Scale(domain=[0, 1]))
    layers = alt.LayerChart(
        layer=[
            alt.Chart().mark_line(color=ORANGE).encode(x=x, y="w̃:Q").transform_filter("datum.kind == 'formula'"),
            alt.Chart()
            .mark_point(filled=True, color=BLUE, size=45)
            .encode(x=x, y="w̃:Q")
            .transform_filter("datum.kind == 'measured'"),
        ],
        data=pd.DataFrame(rows),
    )
    names = [f"scale {scale:g}, input {place}" for place, scale in enumerate(SCALES, start=1)]
    return Drawn(
        title="Weights over the probability to keep",
        caption="Lines: the ridge. Points: trained with the product's Dropout, masks drawn anew in every update.",
        chart=layers.properties(width=150, height=110).facet(
            facet=alt.Facet("input:N", title=None, sort=names), columns=3
        ),
    )
