"""Bias and variance of ridge regression over the strength of L2, and the trade between them that pays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from regtune.networks import Bend
from regtune.regularizers.l2 import L2
from regtune.reports.figures._drawing import BLUE, GREY, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._descent import Quadratic, descended, in_float32
from regtune.studies._noise import noise_of

EXAMPLES, DRAWS = 24, 200
NOISE = 1.6  # s, the standard deviation of the noise of y
EIGENVALUES = (2.0, 1.0, 0.5, 0.25, 0.125)
ALPHAS = (0.0, 1e-4, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)


@dataclass(frozen=True, kw_only=True)
class BiasVariance(Study):
    """MSE = bias² + variance: a regularizer trades more bias for less variance, and some of these trades pay.

    For y = Xw* + noise of variance s², H = X'X / n and L2 of strength α: bias² = Σ (α / (λᵢ + α))² (qᵢ'w*)², variance
    = (s² / n) Σ λᵢ / (λᵢ + α)², and at α = 0 the MSE falls by 2 (s² / n) Σ 1 / λᵢ² per α, so that a small α always
    pays. Measured: SGD with the product's L2 on 200 training sets that differ in the noise of y alone, drawn and then
    shifted and mixed so that its mean is 0 and its covariance s²I. Source: T. Hastie et al., "The Elements of
    Statistical Learning" (2009), section 7.3; I. Goodfellow et al., "Deep Learning" (2016), section 5.4.
    """

    title: ClassVar[str] = "Bias, variance and the profitable trade"
    place: ClassVar[int] = 10

    def run(self) -> Findings:
        """Train on all draws for each strength; compare bias² and variance with the formulas."""
        valley = Quadratic.drawn(EIGENVALUES)
        inputs, targets = _training_sets(valley)
        rows = []
        for alpha in ALPHAS:
            learned = _learned(inputs, targets, alpha)
            mean = learned.mean(0)
            bias = (mean - valley.optimum).square().sum()
            variance = (learned - mean).square().sum(1).mean()
            error = (learned - valley.optimum).square().sum(1).mean()
            rows.append(torch.stack([bias, variance, error]))
        measured = torch.stack(rows)
        theory = torch.stack([_formulas(valley, in_float32(alpha)) for alpha in ALPHAS])
        fall = -2 * NOISE**2 / EXAMPLES * valley.values.pow(-2).sum()
        best = int(measured[:, 2].argmin())
        return Findings(
            comparisons=[
                Comparison(what="bias²", theory=theory[:, 0], measured=measured[:, 0], tolerance=1e-9),
                Comparison(what="variance", theory=theory[:, 1], measured=measured[:, 1], tolerance=1e-9),
                Comparison(
                    what="MSE = bias² + variance",
                    theory=measured[:, :2].sum(1),
                    measured=measured[:, 2],
                    tolerance=1e-12,
                ),
                Comparison(
                    what=f"change of the MSE per α at 0, from α = {ALPHAS[1]}",
                    theory=fall,
                    measured=(measured[1, 2] - measured[0, 2]) / in_float32(ALPHAS[1]),
                    tolerance=0.01,
                    relative=True,
                ),
            ],
            sentences=[
                f"Without L2 the MSE is {measured[0, 2]:.3f}, all of it variance. The best of these strengths, "
                f"α = {ALPHAS[best]}, gives up {measured[best, 0]:.3f} of bias² for "
                f"{measured[0, 1] - measured[best, 1]:.3f} of variance: the MSE is {measured[best, 2]:.3f}. At "
                f"α = {ALPHAS[-1]} it is {measured[-1, 2]:.3f}: the trade no longer pays."
            ],
            charts=[_chart(valley, measured)],
        )


def _training_sets(valley: Quadratic) -> tuple[Tensor, Tensor]:
    """Return X [n, d] with X'X / n = H, and y [draws, n]."""
    noise, width = noise_of("bias_variance"), len(EIGENVALUES)
    columns, _ = torch.linalg.qr(noise.normal("inputs", (EXAMPLES, width)).double())
    inputs = math.sqrt(EXAMPLES) * columns * valley.values.sqrt() @ valley.basis.T
    drawn = noise.normal("noise", (DRAWS, EXAMPLES)).double()
    white, _ = torch.linalg.qr(drawn - drawn.mean(0))
    return inputs, inputs @ valley.optimum + NOISE * math.sqrt(DRAWS) * white


def _learned(inputs: Tensor, targets: Tensor, alpha: float) -> Tensor:
    """Return the weights [draws, d] that training ends with, one row per training set."""

    def loss(w: Tensor, bend: Bend) -> Tensor:
        return (targets - w @ inputs.T).square().sum() / (2 * EXAMPLES)

    start = torch.zeros(DRAWS, len(EIGENVALUES), dtype=torch.float64)
    path = descended(loss, start, [L2(strength=alpha)], learning_rate=0.5, updates=500)
    return path[-1]


def _formulas(valley: Quadratic, alpha: float) -> Tensor:
    """Return bias², variance and their sum."""
    along = (valley.basis.T @ valley.optimum).square()
    bias = ((alpha / (valley.values + alpha)) ** 2 * along).sum()
    variance = NOISE**2 / EXAMPLES * (valley.values / (valley.values + alpha) ** 2).sum()
    return torch.stack([bias, variance, bias + variance])


def _chart(valley: Quadratic, measured: Tensor) -> Drawn:
    names, colours = ["bias²", "variance", "MSE"], [ORANGE, BLUE, GREY]
    grid = torch.logspace(-2, 0.15, 60).tolist()
    rows = [
        {"α": alpha, "value": float(value), "of": name, "kind": kind}
        for kind, pairs in (
            ("formula", [(alpha, _formulas(valley, alpha)) for alpha in grid]),
            ("measured", zip(ALPHAS[2:], measured[2:], strict=True)),
        )
        for alpha, values in pairs
        for name, value in zip(names, values, strict=True)
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("α:Q", scale=alt.Scale(type="log", nice=False), title="strength α of L2"),
        y=alt.Y("value:Q", title="squared distance to w*"),
        color=alt.Color("of:N", title=None, scale=alt.Scale(domain=names, range=colours)),
    )
    return Drawn(
        title="Bias² and variance over the strength",
        caption=(
            f"Lines: the formulas. Points: {DRAWS} trainings each with the product's L2. Where the MSE is below its "
            f"value at the left end, the regularizer is worth its bias."
        ),
        chart=alt.LayerChart(
            layer=[
                base.mark_line().transform_filter("datum.kind == 'formula'"),
                base.mark_point(filled=True, size=45).transform_filter("datum.kind == 'measured'"),
            ]
        ).properties(width=400, height=240),
    )
