"""L2 shrinks the optimum along each eigenvector of the Hessian by lambda / (lambda + alpha)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import numpy as np
import pandas as pd
import torch

from regtune.regularizers.l2 import L2
from regtune.reports.figures._drawing import BLUE, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._descent import Quadratic, descended, in_float32

ALPHAS = (0.01, 0.1, 1.0)
EIGENVALUES = (2.0, 1.0, 0.5, 0.2, 0.1, 0.05)


@dataclass(frozen=True, kw_only=True)
class L2Shrinkage(Study):
    """Q'w̃ = (Λ + αI)⁻¹ Λ Q'w*: the component of w* along eigenvector i of H is rescaled by λᵢ / (λᵢ + α).

    Measured: SGD with the product's L2 on J(w) = ½ (w - w*)'H(w - w*), until it stands still. Source: I. Goodfellow
    et al., "Deep Learning" (2016), equation 7.13.
    """

    title: ClassVar[str] = "L2: every direction shrinks by λ / (λ + α)"
    place: ClassVar[int] = 20

    def run(self) -> Findings:
        """Train for three strengths and compare the components with the formula."""
        valley, start = Quadratic.drawn(EIGENVALUES), torch.zeros(1, len(EIGENVALUES), dtype=torch.float64)
        rows, comparisons = [], []
        for alpha in ALPHAS:
            path = descended(valley.loss, start, [L2(strength=alpha)], learning_rate=0.6, updates=1500)
            ratio = valley.shares(path[-1, 0])
            theory = valley.values / (valley.values + in_float32(alpha))
            comparisons.append(
                Comparison(
                    what=f"share of w* that is left, α = {alpha}", theory=theory, measured=ratio, tolerance=1e-12
                )
            )
            rows += [
                {"α": str(alpha), "λ": value, "share of w* left": float(share)}
                for value, share in zip(EIGENVALUES, ratio, strict=True)
            ]
        return Findings(comparisons=comparisons, charts=[_chart(pd.DataFrame(rows))])


def _chart(rows: pd.DataFrame) -> Drawn:
    grid = np.geomspace(0.04, 2.5, 60)
    lines = pd.DataFrame(
        [{"α": str(a), "λ": value, "share of w* left": value / (value + a)} for a in ALPHAS for value in grid]
    )
    x = alt.X("λ:Q", scale=alt.Scale(type="log"), title="curvature λ")
    y = alt.Y("share of w* left:Q", scale=alt.Scale(domain=[0, 1]))
    column = alt.Facet("α:N", title="α")
    theory = alt.Chart().mark_line(color=ORANGE).encode(x=x, y=y).transform_filter("datum.kind == 'theory'")
    measured = alt.Chart().mark_point(filled=True, color=BLUE, size=50).encode(x=x, y=y)
    data = pd.concat([lines.assign(kind="theory"), rows.assign(kind="measured")])
    layers = alt.LayerChart(layer=[theory, measured.transform_filter("datum.kind == 'measured'")], data=data)
    return Drawn(
        title="Shrinkage by curvature",
        caption=(
            "Lines: λ / (λ + α). Points: trained with the product's L2. Directions in which the loss hardly bends are "
            "given up first."
        ),
        chart=layers.properties(width=170, height=150).facet(facet=column, columns=3),
    )
