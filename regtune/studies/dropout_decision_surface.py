"""Two moons, learned with and without dropout: the surface between the classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from regtune.core.records import Json, Trial
from regtune.data import Examples, Splits
from regtune.reports.figures._drawing import BLUE, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._noise import noise_of
from regtune.studies._trained import plain_logits, trained, trial_of
from regtune.training.lane import Lane

SIDE, SEEDS = 40, 3
TRAIN, TEST = 100, 1000
DROPOUT = {"name": "dropout", "p_hidden": 0.5}


@dataclass(frozen=True, kw_only=True)
class DropoutDecisionSurface(Study):
    """A network that fits every point of two noisy moons has a torn surface between them; dropout makes it smoother.

    Measured: the same network, trained by the product with and without its Dropout from the same weights on 100
    points; how much the probability changes over the plane, as the mean length of its gradient, and the error on
    1,000 other points. That holds for moons with much noise (0.35): on 60 points with less (0.25) dropout made the
    error smaller and the surface of none of three trainings smoother. Source: the lecture's example in two
    dimensions; N. Srivastava et al., "Dropout" (JMLR 2014).
    """

    title: ClassVar[str] = "Dropout: a smoother surface between two moons"
    place: ClassVar[int] = 100

    def run(self) -> Findings:
        """Train both for some seeds and look at their surfaces."""
        train, others = _moons("train", TRAIN), _moons("test", TEST)
        data = Splits(train=train, validation=others.first(TRAIN), test=None, classes=2)  # validation chooses nothing
        lanes = {
            name: [trained(_trial(recipe, seed), data) for seed in range(SEEDS)]
            for name, recipe in (("without dropout", []), ("with dropout", [DROPOUT]))
        }
        slopes = {name: [_slope(lane) for lane in both] for name, both in lanes.items()}
        errors = {name: np.mean([_error(lane, others) for lane in both]) for name, both in lanes.items()}
        smoother = sum(a < b for a, b in zip(slopes["with dropout"], slopes["without dropout"], strict=True))
        return Findings(
            comparisons=[
                Comparison(
                    what=f"trainings of {SEEDS} with a smoother surface than the same without dropout",
                    theory=SEEDS,
                    measured=smoother,
                    tolerance=0,
                )
            ],
            sentences=[
                f"Mean of {SEEDS} trainings {name}: slope {np.mean(slopes[name]):.2f}, error on other points "
                f"{100 * errors[name]:.1f} %."
                for name in lanes
            ],
            charts=[_chart({name: both[0] for name, both in lanes.items()}, data.train)],
        )


def _moons(name: str, count: int) -> Examples:
    """Return points of two moons as pictures of two pixels."""
    noise = noise_of("dropout_decision_surface").at(name)
    labels = torch.arange(count) % 2
    angles = math.pi * noise.uniform("angles", (count,))
    sign = 1.0 - 2.0 * labels
    points = torch.stack([angles.cos() * sign + labels, angles.sin() * sign + 0.4 * labels], -1)
    points = points + 0.35 * noise.normal("noise", (count, 2))
    return Examples.of(images=((points + 2) / 5).clamp(0, 1)[:, None, None], labels=labels)


def _trial(recipe: list[Json], seed: int) -> Trial:
    return trial_of(recipe, network={"name": "mlp", "widths": [128, 128, 128]}, epochs=200, batch=TRAIN // 4, seed=seed)


def _surface(lane: Lane) -> Tensor:
    """Return the probability of the second class on a grid [SIDE, SIDE] over [0, 1]²; rows are the second axis."""
    ticks = torch.linspace(0, 1, SIDE)
    second, first = torch.meshgrid(ticks, ticks, indexing="ij")
    points = torch.stack([first, second], -1).reshape(-1, 1, 1, 2)
    return plain_logits(lane, points).softmax(-1)[:, 1].reshape(SIDE, SIDE)


def _slope(lane: Lane) -> float:
    down, right = torch.gradient(_surface(lane), spacing=1 / (SIDE - 1))
    return float((down.square() + right.square()).sqrt().mean())


def _error(lane: Lane, others: Examples) -> float:
    return float((plain_logits(lane, others.images).argmax(-1) != others.labels).double().mean())


def _chart(lanes: dict[str, Lane], points: Examples) -> Drawn:
    cell = 1 / SIDE
    over = 1.2 * cell  # the next cell covers it: cells that only touch have seams
    rows = [
        {"x": i * cell, "x2": min(i * cell + over, 1), "y": j * cell, "y2": min(j * cell + over, 1)}
        | {"p": round(p, 3), "training": name}
        for name, lane in lanes.items()
        for j, line in enumerate(_surface(lane).tolist())
        for i, p in enumerate(line)
    ]
    dots = [
        {"x": x, "y": y, "moon": str(label), "training": name}
        for name in lanes
        for (x, y), label in zip(points.images[:, 0, 0].tolist(), points.labels.tolist(), strict=True)
    ]
    shades = alt.Color("p:Q", title="p", scale=alt.Scale(domain=[0, 0.5, 1], range=[BLUE, "#f7f7f7", ORANGE]))
    shapes = alt.Shape("moon:N", title="moon", scale=alt.Scale(domain=["0", "1"], range=["circle", "triangle-up"]))
    x, y = (
        alt.X("x:Q", title="first input", scale=alt.Scale(domain=[0, 1])),
        alt.Y("y:Q", title="second input", scale=alt.Scale(domain=[0, 1])),
    )
    layers = alt.LayerChart(
        layer=[
            alt.Chart()
            .mark_rect()
            .encode(x=x, x2="x2", y=y, y2="y2", color=shades)
            .transform_filter("isValid(datum.p)"),
            alt.Chart()
            .mark_point(filled=True, size=30, color="black", stroke="white", strokeWidth=0.7, opacity=1)
            .encode(x=x, y=y, shape=shapes)
            .transform_filter("isValid(datum.moon)"),
        ],
        data=pd.DataFrame([*rows, *dots]),
    )
    return Drawn(
        title="The probability of the second moon",
        caption=f"The same network, trained on the {len(points)} points that are drawn, without and with dropout.",
        chart=layers.properties(width=250, height=250).facet(
            facet=alt.Facet("training:N", title=None, sort=[*lanes]), columns=2
        ),
    )
