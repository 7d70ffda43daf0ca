"""The network with scaled weights is the geometric mean of all networks that dropout makes, with one hidden layer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from regtune.networks import Slot
from regtune.regularizers.dropout import Dropout
from regtune.reports.figures._drawing import BLUE, GREY
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._masks import masked_step
from regtune.studies._trained import bent_logits, plain_logits, trained, trial_of
from regtune.training.lane import Lane

UNITS = 8
SHOWN = 20  # pictures in the chart
SMALL = 1e-3


@dataclass(frozen=True, kw_only=True)
class DropoutGeometricMean(Study):
    """One hidden layer of N units and softmax: the mean network is the geometric mean of all 2^N networks, normalized.

    With units kept with probability p each network counts by the probability of its mask. For two hidden layers it is
    an approximation, and the arithmetic mean is another number. Measured: networks with 8 hidden units that the product
    trained on digits with its Dropout, which then goes through all 2⁸ masks. Source: I. Goodfellow et al., "Deep
    Learning" (2016), equations 7.56 to 7.66.
    """

    title: ClassVar[str] = "Dropout: the mean network is a geometric mean"
    place: ClassVar[int] = 70

    def run(self) -> Findings:
        """Go through all masks of three networks."""
        half, quarter = Dropout(p_hidden=0.5), Dropout(p_hidden=0.25, scaling="test")
        one, geometric, arithmetic = _means([UNITS], half)
        weighted = _means([UNITS], quarter)
        deep = _means([UNITS // 2, UNITS // 2], half)
        return Findings(
            comparisons=[
                Comparison(what="one hidden layer, p = 0.5", theory=geometric, measured=one, tolerance=1e-12),
                Comparison(
                    what="one hidden layer, p = 0.75, scaled at test",
                    theory=weighted[1],
                    measured=weighted[0],
                    tolerance=1e-12,
                ),
                Comparison(
                    what="two hidden layers, p = 0.5", theory=deep[1], measured=deep[0], tolerance=SMALL, fails=True
                ),
                Comparison(
                    what="one hidden layer, arithmetic mean",
                    theory=arithmetic,
                    measured=one,
                    tolerance=SMALL,
                    fails=True,
                ),
            ],
            sentences=["Compared are the probabilities of all classes for 100 validation pictures."],
            charts=[
                _chart(
                    {
                        "one hidden layer": (one, geometric),
                        "two hidden layers": deep[:2],
                        "arithmetic": (one, arithmetic),
                    }
                )
            ],
        )


def _means(widths: list[int], method: Dropout) -> tuple[Tensor, Tensor, Tensor]:
    """Return probabilities [N, classes]: of the mean network, and both means over all networks."""
    row = {"name": "dropout", "p_hidden": method.p_hidden, "scaling": method.scaling}
    lane = trained(trial_of([row], network={"name": "mlp", "widths": widths}, dtype="float64"))
    x = lane.data.validation.first(100).images.double()
    every = torch.tensor([*itertools.product([0.0, 1.0], repeat=UNITS)], dtype=torch.float64)
    chances = torch.where(every > 0, 1 - method.p_hidden, method.p_hidden).prod(1)[:, None, None]
    logs = torch.stack([_masked(lane, x, method, mask.split(widths)) for mask in every])
    geometric = (chances * logs).sum(0).softmax(-1)
    return plain_logits(lane, x).softmax(-1), geometric, (chances * logs.exp()).sum(0)


def _masked(lane: Lane, x: Tensor, method: Dropout, masks: tuple[Tensor, ...]) -> Tensor:
    """Return log-probabilities with these units, layer by layer."""

    def bend(signal: Any, slot: Slot) -> Any:
        return method.bend(signal, slot, masked_step(masks[slot.number - 1])) if slot.kind == "hidden" else signal

    with torch.no_grad():
        return bent_logits(lane, x, bend).log_softmax(-1)


def _chart(pairs: dict[str, tuple[Tensor, Tensor]]) -> Drawn:
    rows = [
        {"mean": float(over), "mean network": float(found), "panel": panel}
        for panel, (network, mean) in pairs.items()
        for found, over in zip(network[:SHOWN].flatten(), mean[:SHOWN].flatten(), strict=True)
    ]
    ends = [{"mean": end, "mean network": end, "panel": panel, "line": 1} for panel in pairs for end in (0.0, 1.0)]
    base = alt.Chart().encode(
        x=alt.X("mean:Q", title="mean over 256 networks"),
        y=alt.Y("mean network:Q", title="network with scaled weights"),
    )
    layers = alt.LayerChart(
        layer=[
            base.mark_line(color=GREY, strokeDash=[4, 3]).transform_filter("datum.line == 1"),
            base.mark_point(color=BLUE, size=20).transform_filter("datum.line != 1"),
        ],
        data=pd.DataFrame([*rows, *ends]),
    )
    return Drawn(
        title="Probabilities of the mean network and of all networks together",
        caption=(
            f"A point for each class of {SHOWN} pictures. Left and middle: the normalized geometric mean, with one and "
            f"with two hidden layers. Right: the arithmetic mean, with one."
        ),
        chart=layers.properties(width=170, height=170).facet(
            facet=alt.Facet("panel:N", title=None, sort=[*pairs]), columns=3
        ),
    )
