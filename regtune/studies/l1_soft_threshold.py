"""L1 moves every weight towards zero by beta / gamma and leaves the small ones at exactly zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from regtune.networks import Bend
from regtune.regularizers.l1 import L1
from regtune.reports.figures._drawing import BLUE, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._descent import Loss, Quadratic, descended, in_float32

BETA = 0.4
GAMMAS = (0.5, 1.0, 2.0)
OPTIMA = torch.linspace(-2, 2, 25, dtype=torch.float64)
LEARNING_RATE = 0.25  # a power of two: learning rate times β is then exact in float32
UPDATES = 400


@dataclass(frozen=True, kw_only=True)
class L1SoftThreshold(Study):
    """For H = diag(γ₁, …, γ_N) the minimum of J + β‖w‖₁ is wᵢ = sign(wᵢ*) max(|wᵢ*| - β / γᵢ, 0).

    Measured: SGD with the product's L1, by proximal steps and by subgradients, on J(w) = Σ ½ γᵢ (wᵢ - wᵢ*)². Where
    H is not diagonal, the formula is wrong. Source: I. Goodfellow et al., "Deep Learning" (2016), equation 7.23; the
    proximal step is ISTA's: A. Beck, M. Teboulle (2009).
    """

    title: ClassVar[str] = "L1: a soft threshold at β / γ, and exact zeros"
    place: ClassVar[int] = 30

    def run(self) -> Findings:
        """Train both forms for three curvatures and count zeros."""
        gammas = torch.tensor(GAMMAS, dtype=torch.float64)[:, None]
        threshold = _threshold(in_float32(BETA), gammas)
        proximal = _trained(_separate(gammas), "proximal", len(GAMMAS))
        hovering = _trained(_separate(gammas), "subgradient", len(GAMMAS))
        slanted = Quadratic.drawn((2.0, 1.0, 0.5, 0.2))
        apart = _threshold(in_float32(BETA), slanted.hessian.diag(), slanted.optimum)
        together = descended(
            slanted.loss,
            torch.zeros(1, 4, dtype=torch.float64),
            [L1(strength=BETA, method="proximal")],
            learning_rate=LEARNING_RATE,
            updates=UPDATES,
        )[-1, 0]
        zeros, none = int((threshold == 0).sum()), int((hovering == 0).sum())
        return Findings(
            comparisons=[
                Comparison(what="weights, proximal steps", theory=threshold, measured=proximal, tolerance=1e-12),
                Comparison(
                    what="number of weights that are exactly 0, proximal steps",
                    theory=zeros,
                    measured=int((proximal == 0).sum()),
                    tolerance=0,
                ),
                Comparison(
                    what="weights, subgradients: within 2ηβ",
                    theory=threshold,
                    measured=hovering,
                    tolerance=2 * LEARNING_RATE * BETA,  # the longest step across 0
                ),
                Comparison(
                    what="number of weights that are exactly 0, subgradients",
                    theory=zeros,
                    measured=none,
                    tolerance=0,
                    fails=True,
                ),
                Comparison(
                    what="weights where H is not diagonal", theory=apart, measured=together, tolerance=0.05, fails=True
                ),
            ],
            sentences=[
                f"Of {proximal.numel()} weights {zeros} are exactly 0 after proximal steps, and {none} after "
                f"subgradients, which step over 0 again and again."
            ],
            charts=[_chart(threshold, proximal, hovering)],
        )


def _threshold(beta: float, gammas: Tensor, optimum: Tensor = OPTIMA) -> Tensor:
    return optimum.sign() * (optimum.abs() - beta / gammas).clamp_min(0)


def _separate(gammas: Tensor) -> Loss:
    def loss(w: Tensor, bend: Bend) -> Tensor:
        return (gammas / 2 * (w - OPTIMA).square()).sum()

    return loss


def _trained(loss: Loss, method: str, rows: int) -> Tensor:
    start = torch.full((rows, len(OPTIMA)), 0.01, dtype=torch.float64)  # at 0 itself a subgradient is 0
    recipe = [L1(strength=BETA, method=method)]
    return descended(loss, start, recipe, learning_rate=LEARNING_RATE, updates=UPDATES)[-1]


def _chart(threshold: Tensor, proximal: Tensor, hovering: Tensor) -> Drawn:
    kinds = {"formula": threshold, "proximal steps": proximal, "subgradients": hovering}
    data = pd.DataFrame(
        [
            {"γ": str(gamma), "w*": float(optimum), "w": float(values[i, j]), "kind": kind}
            for kind, values in kinds.items()
            for i, gamma in enumerate(GAMMAS)
            for j, optimum in enumerate(OPTIMA)
        ]
    )
    base = alt.Chart().encode(x=alt.X("w*:Q", title="w* without penalty"), y=alt.Y("w:Q"))
    shapes = alt.Shape("kind:N", title=None, scale=alt.Scale(domain=[*kinds][1:], range=["circle", "cross"]))
    layers = alt.LayerChart(
        layer=[
            base.mark_line(color=ORANGE).transform_filter("datum.kind == 'formula'"),
            base.mark_point(size=25, color=BLUE).encode(shape=shapes).transform_filter("datum.kind != 'formula'"),
        ],
        data=data,
    )
    return Drawn(
        title="Soft threshold",
        caption=(
            f"Lines: sign(w*) max(|w*| - β / γ, 0) with β = {BETA}. Points: trained with the product's L1. The flatter "
            f"the loss, the wider the range of w* for which the weight is 0."
        ),
        chart=layers.properties(width=170, height=150).facet(facet=alt.Facet("γ:N", title="curvature γ"), columns=3),
    )
