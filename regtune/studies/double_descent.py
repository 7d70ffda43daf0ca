"""Double descent: the test error of interpolation peaks where there are as many features as examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from regtune.data import Examples, Splits, channel_statistics, pixels
from regtune.networks import Normalize, Slot, fresh
from regtune.networks.random_features import RandomFeatures
from regtune.reports.figures._drawing import BLUE, GREY, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._noise import noise_of
from regtune.studies._trained import trial_of
from regtune.training.build import load_data

ROWS, DRAWS = 40, 1500
SIGNAL, NOISE = 1.0, 0.25  # r² and s²
WIDTHS = (10, 20, 30, 60, 80, 160)  # p
EXAMPLES = 200
FEATURES = (20, 50, 100, 150, 180, 200, 220, 250, 300, 500, 1000, 2000)
SIGMA, RIDGE, SEEDS = 8.0, 0.01, 3
DATA = {"name": "digits", "train": EXAMPLES, "validation": 500, "label_noise": 0.1}


@dataclass(frozen=True, kw_only=True)
class DoubleDescent(Study):
    """The test error of the fit of smallest norm peaks where N = n, and falls again as the number of features N grows.

    For isotropic inputs the risk is s²p / (n - p - 1) with p < n weights, and r²(1 - n / p) + s²n / (p - n - 1) with
    more, where r² = ‖w*‖². The norm of the weights has its peak at the same place, and L2 takes the peak away.
    Measured: least squares on drawn inputs; the random features of the product's network on digits, 10 % of the
    labels wrong, with the weights of smallest norm, to which SGD from 0 goes (see min-norm-interpolation), and
    with L2. Source: M. Belkin et al., "Reconciling Modern Machine-Learning Practice and the Classical Bias-
    Variance Trade-Off" (PNAS 2019); T. Hastie et al., "Surprises in High-Dimensional Ridgeless Least Squares
    Interpolation" (2022), theorem 1.
    """

    title: ClassVar[str] = "Double descent: a peak where N = n"
    place: ClassVar[int] = 6

    def run(self) -> Findings:
        """Fit at many widths, by theory and on digits."""
        theory = [_risk(width) for width in WIDTHS]
        measured = [_measured_risk(width) for width in WIDTHS]
        data = load_data(trial_of(data=DATA))
        runs = [[fitted(data, count, seed) for count in FEATURES] for seed in range(SEEDS)]
        plain, norms, ridge = torch.tensor(runs, dtype=torch.float64).mean(0).T
        peak = FEATURES.index(EXAMPLES)
        return Findings(
            comparisons=[
                Comparison(
                    what="risk of isotropic least squares",
                    theory=theory,
                    measured=measured,
                    tolerance=0.06,
                    relative=True,
                ),
                Comparison(
                    what="N of the largest test error",
                    theory=EXAMPLES,
                    measured=FEATURES[int(plain.argmax())],
                    tolerance=0,
                ),
                Comparison(
                    what="N of the largest norm", theory=EXAMPLES, measured=FEATURES[int(norms.argmax())], tolerance=0
                ),
                Comparison(
                    what="N of the largest test error, with L2",
                    theory=EXAMPLES,
                    measured=FEATURES[int(ridge.argmax())],
                    tolerance=0,
                    fails=True,
                ),
            ],
            sentences=[
                f"Test error on digits, mean of {SEEDS} draws of features: {100 * plain[peak]:.0f} % at N = n = "
                f"{EXAMPLES}, {100 * plain[:peak].min():.0f} % at the best smaller N, {100 * plain[-1]:.0f} % at N = "
                f"{FEATURES[-1]}; with L2 {100 * ridge[peak]:.0f} % at N = n."
            ],
            charts=[_chart(plain, norms, ridge)],
        )


def _risk(width: int) -> float:
    if width < ROWS:
        return NOISE * width / (ROWS - width - 1)
    return SIGNAL * (1 - ROWS / width) + NOISE * ROWS / (width - ROWS - 1)


def _measured_risk(width: int) -> float:
    """Return the mean of ‖ŵ - w*‖² of the fits of smallest norm to many drawn training sets."""
    noise = noise_of(f"double_descent/{width}")
    inputs = noise.normal("inputs", (DRAWS, ROWS, width)).double()
    truth = noise.normal("weights", (DRAWS, width, 1)).double()
    truth = truth / truth.norm(dim=1, keepdim=True) * SIGNAL**0.5
    targets = inputs @ truth + NOISE**0.5 * noise.normal("noise", (DRAWS, ROWS, 1)).double()
    return float((_smallest(inputs, targets) - truth).square().sum((1, 2)).mean())


def _smallest(inputs: Tensor, targets: Tensor, ridge: float = 0.0) -> Tensor:
    """Return the least-squares fit of the smallest norm, or with L2, of inputs [..., n, p] of full rank."""
    rows, width = inputs.shape[-2:]
    if width < rows:
        gram = inputs.mT @ inputs + ridge * torch.eye(width, dtype=inputs.dtype)
        few: Tensor = torch.linalg.solve(gram, inputs.mT @ targets)
        return few
    kernel = inputs @ inputs.mT + ridge * torch.eye(rows, dtype=inputs.dtype)
    many: Tensor = inputs.mT @ torch.linalg.solve(kernel, targets)
    return many


def fitted(data: Splits, count: int, seed: int, *, sigma: float = SIGMA) -> tuple[float, float, float]:
    """Return error on validation examples and norm of the fit with so many features, and the error with L2."""
    channels, height, width = data.train.source.shape[1:]
    network = RandomFeatures(features=count, sigma=sigma)
    net = fresh(network, shape=(channels, height, width), classes=data.classes, seed=seed)
    for part in net.modules():
        if isinstance(part, Normalize):
            part.fit(*channel_statistics(data.train))
    train, test = _features(net, data.train), _features(net, data.validation)
    targets = torch.eye(data.classes, dtype=torch.float64)[data.train.labels]
    weights, penalized = _smallest(train, targets), _smallest(train, targets, RIDGE)

    def error(fit: Tensor) -> float:
        return float(((test @ fit).argmax(-1) != data.validation.labels).double().mean())

    return error(weights), float(weights.norm()), error(penalized)


def _features(net: torch.nn.Module, examples: Examples) -> Tensor:
    """Return what flows through the hidden slot [N, features]."""
    seen: list[Tensor] = []

    def bend(signal: Any, slot: Slot) -> Any:
        if slot.kind == "hidden":
            seen.append(signal)
        return signal

    with torch.no_grad():
        net.double()(pixels(examples.images, torch.float64), bend)
    return seen[0]


def _chart(plain: Tensor, norms: Tensor, ridge: Tensor) -> Drawn:
    panels = {"test error, %": {"smallest norm": 100 * plain, "L2": 100 * ridge}, "‖W‖": {"smallest norm": norms}}
    rows = [
        {"N": count, "value": float(value), "fit": fit, "panel": panel}
        for panel, fits in panels.items()
        for fit, values in fits.items()
        for count, value in zip(FEATURES, values, strict=True)
    ]
    colours = alt.Color("fit:N", title=None, scale=alt.Scale(domain=["smallest norm", "L2"], range=[BLUE, ORANGE]))
    y = alt.Y("value:Q", title=None)
    base = alt.Chart().encode(
        x=alt.X("N:Q", scale=alt.Scale(type="log", nice=False), title="features N"), y=y, color=colours
    )
    rule = alt.Chart().mark_rule(color=GREY, strokeDash=[4, 3]).encode(x=alt.datum(EXAMPLES))
    layers = alt.LayerChart(layer=[rule, base.mark_line(point=True)], data=pd.DataFrame(rows))
    faceted = layers.properties(width=264, height=180).facet(
        facet=alt.Facet("panel:N", title=None, sort=[*panels]), columns=2
    )
    return Drawn(
        title="Test error and norm over the number of features",
        caption=f"{EXAMPLES} digits, 10 % of their labels wrong. Dashed: N = n, from where on all examples are fitted.",
        chart=faceted.resolve_scale(y="independent"),
    )
