"""Label smoothing bounds the gaps between logits, and draws the examples of a class together before the last layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from regtune.networks import Bend
from regtune.regularizers import Step
from regtune.regularizers.label_smoothing import LabelSmoothing
from regtune.reports.figures._drawing import BLUE, GREY, ORANGE
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._descent import descended
from regtune.studies._noise import noise_of
from regtune.studies._trained import plain_logits, trained, trial_of
from regtune.training.features import features_of
from regtune.training.lane import Lane
from regtune.training.neural_collapse import NeuralCollapse, neural_collapse

CASES = ((3, 0.01), (10, 0.1), (10, 0.3))  # K and α
ALPHA = 0.1
SEEDS = 3
DEEP = {"name": "mlp", "widths": [64, 64, 64]}
MEASURES = {"NC1": "nc1", "CDNV": "cdnv"}
CLASSES = 3  # whose features are drawn


@dataclass(frozen=True, kw_only=True)
class LabelSmoothingClusters(Study):
    """Targets 1 - α and α / (K - 1): the loss is least at logit gaps ln((1 - α)(K - 1) / α), where it is their entropy.

    K = 3 and α = 0.01 give (0.005, 0.990, 0.005). With hard targets gaps grow without end; with smoothed ones every
    example wants the same gap to all wrong classes, so that the examples of a class come to lie together in the layer
    before the last. Measured: SGD on free logits with targets from the product's LabelSmoothing; networks trained on
    digits with and without it, NC1 and CDNV on training examples: variance within classes over what is between their
    means, 0 where classes are points. With one hidden layer in place of three NC1 falls too, and CDNV does not. Source:
    R. Mueller et al., "When Does Label Smoothing Help?" (NeurIPS 2019); I. Goodfellow et al., "Deep Learning" (2016),
    section 7.5.1.
    """

    title: ClassVar[str] = "Label smoothing: bounded gaps and tight classes"
    place: ClassVar[int] = 110

    def run(self) -> Findings:
        """Train free logits and networks, with hard and with smoothed targets."""
        smoothed = [_targets(classes, alpha) for classes, alpha in CASES]
        logits = [_free(target) for target in smoothed]
        gaps = [math.log((1 - alpha) * (classes - 1) / alpha) for classes, alpha in CASES]
        losses = [float(-(y * z.log_softmax(-1)).sum()) for y, z in zip(smoothed, logits, strict=True)]
        row = {"name": "label_smoothing", "eps": ALPHA, "convention": "wrong"}
        hard, soft = [], []
        for seed in range(SEEDS):
            hard.append(trained(trial_of(epochs=100, seed=seed, network=DEEP)))
            soft.append(trained(trial_of([row], epochs=100, seed=seed, network=DEEP)))
        tight = [[_tightness(lane) for lane in lanes] for lanes in (hard, soft)]
        return Findings(
            comparisons=[
                Comparison(
                    what="targets, K = 3, α = 0.01", theory=[0.99, 0.005, 0.005], measured=smoothed[0], tolerance=1e-12
                ),
                Comparison(
                    what="gaps between the logits of the right and of each wrong class",
                    theory=[gap for gap, z in zip(gaps, logits, strict=True) for _ in z[1:]],
                    measured=torch.cat([z[0] - z[1:] for z in logits]),
                    tolerance=1e-6,
                ),
                Comparison(
                    what="least loss, the entropy of the targets",
                    theory=[float(-(y * y.log()).sum()) for y in smoothed],
                    measured=losses,
                    tolerance=1e-9,
                ),
                *(
                    Comparison(
                        what=f"trainings of {SEEDS} with a smaller {name} than the same with hard targets",
                        theory=SEEDS,
                        measured=sum(
                            getattr(a, key) < getattr(b, key) for a, b in zip(tight[1], tight[0], strict=True)
                        ),
                        tolerance=0,
                    )
                    for name, key in MEASURES.items()
                ),
            ],
            sentences=[
                f"{name}, mean of {SEEDS} trainings: {_mean(tight[0], key):.3f} with hard targets, "
                f"{_mean(tight[1], key):.3f} with α = {ALPHA}."
                for name, key in MEASURES.items()
            ],
            charts=[_chart({"hard targets": hard[0], f"α = {ALPHA}": soft[0]})],
        )


def _targets(classes: int, alpha: float) -> Tensor:
    """Return what the product makes of a hard target for the first class."""
    hard = torch.eye(classes, dtype=torch.float64)[:1]
    now = Step(noise=noise_of("label_smoothing_clusters"), progress=0.0, learning_rate=0.0)
    return LabelSmoothing(eps=alpha, convention="wrong").augment(hard, hard, now)[1][0]


def _free(target: Tensor) -> Tensor:
    """Return the logits that training with this target ends at."""

    def loss(z: Tensor, bend: Bend) -> Tensor:
        return -(target * z[0].log_softmax(-1)).sum()

    start = torch.zeros(1, len(target), dtype=torch.float64)
    return descended(loss, start, [], learning_rate=2.0, updates=4000, momentum=0.9)[-1, 0]


def _features(lane: Lane) -> tuple[Tensor, Tensor]:
    """Return the features [N, d] and labels [N] of all training examples."""
    net, train = lane.train_step.net, lane.data.train
    with features_of(net, lane.data.classes) as features:
        found = features(plain_logits(lane, train.images))
    return found, train.labels


def _tightness(lane: Lane) -> NeuralCollapse:
    return neural_collapse(lambda: [_features(lane)], lane.data.classes)


def _mean(measured: list[NeuralCollapse], key: str) -> float:
    return float(np.mean([getattr(one, key) for one in measured]))


def _chart(lanes: dict[str, Lane]) -> Drawn:
    """Draw features in the plane of the weights of three classes, which is how R. Mueller et al. draw them."""
    rows = []
    for name, lane in lanes.items():
        features, labels = _features(lane)
        templates = lane.kept_at(0)[0]["head.weight"][:CLASSES]
        plane, _ = torch.linalg.qr((templates[1:] - templates[0]).T)
        points = (features - features[labels < CLASSES].mean(0)) @ plane
        points = points / points[labels < CLASSES].std()
        rows += [
            {"first axis": float(x), "second axis": float(y), "class": str(label), "targets": name}
            for (x, y), label in zip(points.tolist(), labels.tolist(), strict=True)
            if label < CLASSES
        ]
    names = [str(label) for label in range(CLASSES)]
    colours = alt.Color("class:N", title="digit", scale=alt.Scale(domain=names, range=[BLUE, ORANGE, GREY]))
    base = alt.Chart().mark_point(filled=True, size=30).encode(x="first axis:Q", y="second axis:Q", color=colours)
    layers = alt.LayerChart(layer=[base], data=pd.DataFrame(rows)).properties(width=264, height=240)
    return Drawn(
        title="The layer before the last, with hard and with smoothed targets",
        caption="Training examples of three digits in the plane through the weights of their classes, in equal units.",
        chart=layers.facet(facet=alt.Facet("targets:N", title=None, sort=[*lanes]), columns=2),
    )
