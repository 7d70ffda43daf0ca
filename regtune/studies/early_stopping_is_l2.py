"""Gradient descent that is stopped after tau updates shrinks as L2 of strength 1 / (eta tau) does, where it can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from regtune.regularizers.l2 import L2
from regtune.reports.figures._drawing import BLUE, GREY, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._descent import Quadratic, descended

ETA = 0.125  # exact in float32
TAU = 80
EIGENVALUES = (1.0, 0.5, 0.1, 0.05, 0.01, 0.001, 0.0005)
SMALL = 0.01  # ητλ up to which the rule of the lecture is good to half of it


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingIsL2(Study):
    """Q'w^(τ) = [I - (I - ηΛ)^τ] Q'w*: as L2 with the α that makes (I - ηΛ)^τ = (Λ + αI)⁻¹α; τ ≈ 1 / (ηα) for small λᵢ.

    That α is λᵢ(1 - ηλᵢ)^τ / (1 - (1 - ηλᵢ)^τ), another one for each direction: ητα is x / (eˣ - 1) at x = ητλᵢ, which
    is 1 only for small x. So stopping is L2 exactly where all λᵢ are equal, nearly where all ητλᵢ are small, and never
    if training does not start at 0. Measured: SGD without regularizer, stopped after τ updates, and SGD with the
    product's L2. Source: I. Goodfellow et al., "Deep Learning" (2016), equations 7.39 to 7.45.
    """

    title: ClassVar[str] = "Early stopping is L2 with α ≈ 1 / (ητ)"
    place: ClassVar[int] = 60

    def run(self) -> Findings:
        """Compare the trajectory, the strength in each direction and L2 at that strength."""
        valley = Quadratic.drawn(EIGENVALUES)
        start = torch.zeros(1, len(EIGENVALUES), dtype=torch.float64)
        path = descended(valley.loss, start, [], learning_rate=ETA, updates=TAU)
        shares = valley.shares(path[:, 0])
        formula = torch.stack([1 - (1 - ETA * valley.values) ** tau for tau in range(TAU + 1)])
        elsewhere = descended(valley.loss, start + 1, [], learning_rate=ETA, updates=TAU)
        strengths = valley.values * (1 - shares[-1]) / shares[-1]
        small = valley.values * ETA * TAU <= SMALL
        large = valley.values * ETA * TAU >= 1
        rule = torch.full_like(strengths, 1 / (ETA * TAU))
        stopped, penalized = _round(valley)
        return Findings(
            comparisons=[
                Comparison(what="Q'w^(τ) over Q'w*, all τ", theory=formula, measured=shares, tolerance=1e-12),
                Comparison(
                    what="all λᵢ equal: stopped after τ, beside L2", theory=penalized, measured=stopped, tolerance=1e-7
                ),
                Comparison(
                    what=f"α by direction, 1 / (ητ), where ητλᵢ ≤ {SMALL}",
                    theory=rule[small],
                    measured=strengths[small],
                    tolerance=SMALL / 2 * (1 + 1 / TAU),
                    relative=True,
                ),
                Comparison(
                    what="α by direction, 1 / (ητ), where ητλᵢ ≥ 1",
                    theory=rule[large],
                    measured=strengths[large],
                    tolerance=0.4,
                    relative=True,
                    fails=True,
                ),
                Comparison(
                    what="Q'w^(τ) over Q'w*, not started at 0",
                    theory=formula,
                    measured=valley.shares(elsewhere[:, 0]),
                    tolerance=1e-2,
                    fails=True,
                ),
            ],
            charts=[_strengths(valley.values, strengths), _trajectories(formula, shares)],
        )


def _round(valley: Quadratic) -> tuple[Tensor, Tensor]:
    """Return where training stops in a round valley, λ = 0.1, and where it ends with the L2 that is equal to that."""
    level = Quadratic(basis=valley.basis, values=torch.full_like(valley.values, 0.1), optimum=valley.optimum)
    start = torch.zeros(1, len(EIGENVALUES), dtype=torch.float64)
    left = (1 - ETA * 0.1) ** TAU
    l2 = L2(strength=0.1 * left / (1 - left))
    stopped = descended(level.loss, start, [], learning_rate=ETA, updates=TAU)[-1]
    return stopped, descended(level.loss, start, [l2], learning_rate=1.0, updates=400)[-1]


def _strengths(values: Tensor, strengths: Tensor) -> Drawn:
    curve = np.geomspace(5e-3, 12, 80)
    data = pd.concat(
        [
            pd.DataFrame({"ητλ": curve, "ητα": curve / np.expm1(curve), "kind": "limit"}),
            pd.DataFrame({"ητλ": curve, "ητα": 1.0, "kind": "rule"}),
            pd.DataFrame({"ητλ": ETA * TAU * values, "ητα": ETA * TAU * strengths, "kind": "measured"}),
        ]
    )
    base = alt.Chart(data).encode(
        x=alt.X("ητλ:Q", scale=alt.Scale(type="log", nice=False), title="ητλ"), y=alt.Y("ητα:Q", title="ητα")
    )
    return Drawn(
        title="The strength that stopping amounts to, by direction",
        caption=(
            f"Points: the α of the L2 that shrinks a direction as stopping after τ = {TAU} updates does, times ητ. "
            f"Orange: x / (eˣ - 1), its limit for small η. Grey: the rule α = 1 / (ητ). Directions of large curvature "
            f"are as good as not regularized."
        ),
        chart=alt.LayerChart(
            layer=[
                base.mark_line(color=GREY, strokeDash=[4, 3]).transform_filter("datum.kind == 'rule'"),
                base.mark_line(color=ORANGE).transform_filter("datum.kind == 'limit'"),
                base.mark_point(filled=True, color=BLUE, size=50).transform_filter("datum.kind == 'measured'"),
            ]
        ).properties(width=400, height=220),
    )


def _trajectories(formula: Tensor, shares: Tensor) -> Drawn:
    rows = [
        {"λ": f"{value:g}", "τ": tau, "share of w* learned": float(found[tau, place]), "kind": kind}
        for kind, found in (("formula", formula), ("measured", shares))
        for place, value in enumerate(EIGENVALUES[:6])
        for tau in range(0, TAU + 1, 1 if kind == "formula" else 8)
    ]
    x, y = alt.X("τ:Q", title="update τ"), alt.Y("share of w* learned:Q", scale=alt.Scale(domain=[0, 1]))
    layers = alt.LayerChart(
        layer=[
            alt.Chart().mark_line(color=ORANGE).encode(x=x, y=y).transform_filter("datum.kind == 'formula'"),
            alt.Chart().mark_point(color=BLUE, size=20).encode(x=x, y=y).transform_filter("datum.kind == 'measured'"),
        ],
        data=pd.DataFrame(rows),
    )
    return Drawn(
        title="What is learned when",
        caption="Lines: 1 - (1 - ηλ)^τ. Points: trained. Steep directions are learned first, flat ones hardly.",
        chart=layers.properties(width=150, height=110).facet(facet=alt.Facet("λ:N", title="λ"), columns=3),
    )
