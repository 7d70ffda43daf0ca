"""The picture of L1 and L2: contours of the loss, the ball of the penalty, and where both touch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from regtune.regularizers import Regularizer
from regtune.regularizers.l1 import L1
from regtune.regularizers.l2 import L2
from regtune.reports.figures._drawing import BLUE, GREY, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._descent import Quadratic, descended, in_float32

STRENGTHS = tuple(2.0**k for k in range(-7, 4))
SHOWN = {"L1": 0.5, "L2": 0.25}  # whose contour and ball are drawn
ANGLE = math.radians(70)
TURN = torch.tensor([[math.cos(ANGLE), -math.sin(ANGLE)], [math.sin(ANGLE), math.cos(ANGLE)]], dtype=torch.float64)
VALLEY = Quadratic(
    basis=TURN,
    values=torch.tensor([0.4, 1.6], dtype=torch.float64),
    optimum=torch.tensor([1.6, 0.9], dtype=torch.float64),
)


@dataclass(frozen=True, kw_only=True)
class L1AndL2Paths(Study):
    """The regularized optimum is where a contour of J touches a ball of Ω; the corners of the L1 ball are on the axes.

    With L2, w̃ = (H + αI)⁻¹Hw* goes to 0 along a curve on which no weight is 0. With L1, H(w* - w̃) = β sign(w̃) where
    weights are not 0: the path is made of straight pieces, and past a corner it runs along an axis. Measured: SGD with
    the product's L1 (proximal steps) and L2, strength by strength. Source: I. Goodfellow et al., "Deep Learning"
    (2016), section 7.1 and figure 7.1; the pieces of the L1 path: B. Efron et al., "Least Angle Regression" (2004).
    """

    title: ClassVar[str] = "L1 and L2: where contour and ball touch"
    place: ClassVar[int] = 40

    def run(self) -> Findings:
        """Train every strength with both and compare the paths with the formulas."""
        identity = torch.eye(2, dtype=torch.float64)
        l2 = torch.stack([_optimum(L2(strength=one)) for one in STRENGTHS])
        l1 = torch.stack([_optimum(L1(strength=one, method="proximal")) for one in STRENGTHS])
        pull = VALLEY.hessian @ VALLEY.optimum
        ridge = [torch.linalg.solve(VALLEY.hessian + in_float32(one) * identity, pull) for one in STRENGTHS]
        pieces = torch.stack([_lasso(in_float32(one)) for one in STRENGTHS])
        slope = -(l2 - VALLEY.optimum) @ VALLEY.hessian
        return Findings(
            comparisons=[
                Comparison(what="optimum with L2", theory=torch.stack(ridge), measured=l2, tolerance=1e-12),
                Comparison(what="optimum with L1", theory=pieces, measured=l1, tolerance=1e-12),
                Comparison(
                    what="L2: the contour touches the circle, -∇J = αw̃",
                    theory=torch.tensor(STRENGTHS, dtype=torch.float64)[:, None] * l2,
                    measured=slope,
                    tolerance=1e-12,
                ),
                Comparison(
                    what="strengths at which a weight is exactly 0, L1",
                    theory=int((pieces == 0).any(1).sum()),
                    measured=int((l1 == 0).any(1).sum()),
                    tolerance=0,
                ),
                Comparison(
                    what="strengths at which a weight is exactly 0, L2",
                    theory=0,
                    measured=int((l2 == 0).any(1).sum()),
                    tolerance=0,
                ),
            ],
            charts=[_chart({"L1": l1, "L2": l2})],
        )


def _optimum(method: Regularizer) -> Tensor:
    start = torch.zeros(1, 2, dtype=torch.float64)
    return descended(VALLEY.loss, start, [method], learning_rate=0.125, updates=800)[-1, 0]


def _lasso(beta: float) -> Tensor:
    """Return the optimum with L1 for an optimum without it in the first quadrant, whose second weight ends first."""
    hessian, pull = VALLEY.hessian, VALLEY.hessian @ VALLEY.optimum
    both: Tensor = torch.linalg.solve(hessian, pull - beta)
    if (both > 0).all():
        return both
    first = torch.clamp((pull[0] - beta) / hessian[0, 0], min=0)
    return torch.stack([first, torch.zeros_like(first)])


def _chart(paths: dict[str, Tensor]) -> Drawn:
    frames = []
    for penalty, path in paths.items():
        touching = path[STRENGTHS.index(SHOWN[penalty])]
        level = float(VALLEY.loss(touching[None], lambda signal, slot: signal))
        rings = {f"contour {i}": _contour(level * share) for i, share in enumerate((0.25, 1.0, 2.5))}
        lines = {"ball": _ball(penalty, touching), **rings, "path": torch.stack([VALLEY.optimum, *path]).numpy()}
        for line, points in lines.items():
            frame = pd.DataFrame(points, columns=["w₁", "w₂"])
            frames.append(frame.assign(penalty=penalty, line=line, kind=line.split()[0], order=range(len(points))))
        frames.append(pd.DataFrame([{"w₁": 0.0, "w₂": 0.0, "penalty": penalty, "line": "axes", "kind": "axes"}]))
    names = ["contour", "ball", "path"]
    base = alt.Chart().encode(
        x=alt.X("w₁:Q", scale=alt.Scale(domain=[-1.2, 3.2])),
        y=alt.Y("w₂:Q", scale=alt.Scale(domain=[-1.2, 2.4])),
        color=alt.Color("kind:N", title=None, scale=alt.Scale(domain=names, range=[GREY, ORANGE, BLUE])),
        detail="line:N",
    )
    layers = alt.LayerChart(
        layer=[
            base.mark_line(strokeWidth=1.5, clip=True).encode(order="order:Q").transform_filter("datum.kind != 'axes'"),
            base.mark_point(filled=True, size=28, opacity=1).transform_filter("datum.kind == 'path'"),
        ],
        data=pd.concat(frames),
    )
    faceted = layers.properties(width=264, height=216).facet(facet=alt.Facet("penalty:N", title=None), columns=2)
    return Drawn(
        title="Contours, balls and paths",
        caption=(
            "Contours of J, the ball of the penalty that one of them touches, and the trained optima from strength 0 "
            "(at w*) to strength 8 (at 0). The L1 path reaches an axis and stays there; the L2 path bends to 0."
        ),
        chart=faceted,
    )


def _contour(level: float) -> np.ndarray:
    angles = torch.linspace(0, 2 * math.pi, 90, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], -1) * (2 * level / VALLEY.values).sqrt()
    points: np.ndarray = (VALLEY.optimum + circle @ VALLEY.basis.T).numpy()
    return points


def _ball(penalty: str, touching: Tensor) -> np.ndarray:
    if penalty == "L1":
        corners = torch.tensor([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]], dtype=torch.float64)
        points: np.ndarray = (corners * touching.abs().sum()).numpy()
        return points
    angles = torch.linspace(0, 2 * math.pi, 90, dtype=torch.float64)
    circle: np.ndarray = (torch.stack([angles.cos(), angles.sin()], -1) * touching.norm()).numpy()
    return circle
