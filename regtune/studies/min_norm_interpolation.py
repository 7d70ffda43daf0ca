"""With more weights than examples, gradient descent from zero ends at the interpolation of the smallest norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from regtune.networks import Bend
from regtune.regularizers import Regularizer
from regtune.regularizers.l2 import L2
from regtune.reports.figures._drawing import BLUE, GREY, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._descent import descended, in_float32
from regtune.studies._noise import noise_of

EXAMPLES, WEIGHTS = 10, 40
ALPHA = 0.1


@dataclass(frozen=True, kw_only=True)
class MinNormInterpolation(Study):
    """For Xw = y with more weights than examples, gradient descent from 0 ends at w = X'(XX')⁻¹y, of the smallest norm.

    Updates are combinations of the rows of X, so what is orthogonal to them stays as it was: from another start w⁽⁰⁾
    training ends at the interpolation next to that, w⁽⁰⁾ + X'(XX')⁻¹(y - Xw⁽⁰⁾). Momentum changes neither; with L2
    training forgets its start and ends at (X'X / n + αI)⁻¹X'y / n. Measured: SGD on least squares with 10 examples and
    40 weights. Source: C. Zhang et al., "Understanding Deep Learning Requires Rethinking Generalization" (ICLR 2017),
    section 5; the lecture gives it as an interpretation of M. Belkin et al. (2019).
    """

    title: ClassVar[str] = "Interpolation: gradient descent finds the smallest norm"
    place: ClassVar[int] = 4

    def run(self) -> Findings:
        """Descend from 0, from elsewhere, with momentum and with L2."""
        noise = noise_of("min_norm_interpolation")
        inputs = noise.normal("inputs", (EXAMPLES, WEIGHTS)).double()
        targets = noise.normal("targets", (EXAMPLES,)).double()
        away = noise.normal("start", (WEIGHTS,)).double()
        zero = torch.zeros_like(away)
        smallest, nearest = _nearest(inputs, targets, zero), _nearest(inputs, targets, away)
        path, other = _path(inputs, targets, zero), _path(inputs, targets, away)
        heavy = _path(inputs, targets, zero, momentum=0.9)
        ridge = _path(inputs, targets, away, [L2(strength=ALPHA)], updates=3000)[-1]
        gram = inputs.T @ inputs / EXAMPLES
        pull = inputs.T @ targets / EXAMPLES
        penalized = torch.linalg.solve(gram + in_float32(ALPHA) * torch.eye(WEIGHTS, dtype=torch.float64), pull)
        return Findings(
            comparisons=[
                Comparison(what="from 0", theory=smallest, measured=path[-1], tolerance=1e-10),
                Comparison(what="from 0, momentum 0.9", theory=smallest, measured=heavy[-1], tolerance=1e-10),
                Comparison(what="from elsewhere, the nearest", theory=nearest, measured=other[-1], tolerance=1e-10),
                Comparison(
                    what="from elsewhere, the smallest", theory=smallest, measured=other[-1], tolerance=0.1, fails=True
                ),
                Comparison(
                    what="training error from elsewhere",
                    theory=torch.zeros(EXAMPLES),
                    measured=inputs @ other[-1] - targets,
                    tolerance=1e-10,
                ),
                Comparison(what=f"L2, α = {ALPHA}, from elsewhere", theory=penalized, measured=ridge, tolerance=1e-10),
            ],
            sentences=[
                f"Both fit all {EXAMPLES} examples: from 0 with ‖w‖ = {path[-1].norm():.2f}, from elsewhere with "
                f"{other[-1].norm():.2f}."
            ],
            charts=[_chart({"from 0": path, "from elsewhere": other}, smallest)],
        )


def _nearest(inputs: Tensor, targets: Tensor, start: Tensor) -> Tensor:
    """Return the interpolation that is nearest to a start."""
    nearest: Tensor = start + inputs.T @ torch.linalg.solve(inputs @ inputs.T, targets - inputs @ start)
    return nearest


def _path(
    inputs: Tensor,
    targets: Tensor,
    start: Tensor,
    recipe: list[Regularizer] | None = None,
    *,
    momentum: float = 0.0,
    updates: int = 600,
) -> Tensor:
    def loss(w: Tensor, bend: Bend) -> Tensor:
        return (targets - inputs @ w[0]).square().sum() / (2 * EXAMPLES)

    found = descended(loss, start[None], recipe or [], learning_rate=0.1, updates=updates, momentum=momentum)
    return found[:, 0]


def _chart(paths: dict[str, Tensor], smallest: Tensor) -> Drawn:
    rows = [
        {"update": update, "‖w‖": float(path[update].norm()), "start": start}
        for start, path in paths.items()
        for update in range(0, 101, 2)
    ]
    colours = alt.Color("start:N", title=None, scale=alt.Scale(domain=[*paths], range=[BLUE, ORANGE]))
    base = alt.Chart(pd.DataFrame(rows)).encode(x="update:Q", y="‖w‖:Q", color=colours)
    rule = alt.Chart(pd.DataFrame([{"‖w‖": float(smallest.norm())}])).mark_rule(color=GREY, strokeDash=[4, 3])
    return Drawn(
        title="The norm over the updates",
        caption="Dashed: the smallest norm with which all examples are fitted. Lines: SGD from 0 and from elsewhere.",
        chart=alt.LayerChart(layer=[rule.encode(y="‖w‖:Q"), base.mark_line()]).properties(width=400, height=200),
    )
