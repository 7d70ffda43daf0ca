"""Averaging networks with dropped units at test, beside the one network with scaled weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from regtune.networks import Slot
from regtune.regularizers import Step
from regtune.regularizers.dropout import Dropout
from regtune.reports.figures._drawing import BLUE, GREY
from regtune.reports.tables._table import Table
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._noise import noise_of
from regtune.studies._trained import bent_logits, plain_logits, trained, trial_of
from regtune.training.build import load_data
from regtune.training.evaluation import calibration_error
from regtune.training.lane import Lane

MASKS = 1000
COUNTS = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True, kw_only=True)
class DropoutMonteCarlo(Study):
    """The mean of k networks with drawn masks comes close to the mean of all as 1 / k; scaled weights cost one pass.

    N. Srivastava et al. needed about 50 masks for the error of the scaled network. Measured: a network that the
    product trained on digits with its Dropout; 1,000 masks that this draws, in groups of k, on the test pictures. The
    theory is that of sampling without replacement: E|mean of k - mean of K|² = (S² / k) (1 - k / K). Source: N.
    Srivastava et al., "Dropout" (JMLR 2014), section 7.5 and figure 11.
    """

    title: ClassVar[str] = "Dropout at test: k masks or scaled weights"
    place: ClassVar[int] = 80

    def run(self) -> Findings:
        """Draw masks, average groups of them, and compare errors and calibration."""
        row = {"name": "dropout", "p_hidden": 0.5, "p_input": 0.2}
        network = {"name": "mlp", "widths": [64, 64]}
        trial = trial_of([row], network=network, epochs=60, data={"name": "digits", "train": 400, "validation": 397})
        lane = trained(trial)
        test = load_data(trial).test or lane.data.validation
        x, labels = test.images, test.labels
        each = _sampled(lane, x)
        scaled = plain_logits(lane, x).softmax(-1)
        groups = {k: each.reshape(MASKS // k, k, *each.shape[1:]).mean(1) for k in COUNTS}
        mean = each.mean(0)
        spread = (each - mean).square().sum() / (MASKS - 1)
        apart = [float((found - mean).square().sum((1, 2)).mean()) for found in groups.values()]
        theory = [float(spread) / k * (1 - k / MASKS) for k in COUNTS]
        errors = {k: _errors(found, labels) for k, found in groups.items()}
        plain, many = float(_errors(scaled[None], labels)), float(_errors(mean[None], labels))
        rows = [_row("1 mask" if k == 1 else f"{k} masks", groups[k], labels) for k in COUNTS]
        rows += [_row(f"{MASKS} masks", mean[None], labels), _row("scaled weights", scaled[None], labels)]
        return Findings(
            comparisons=[
                Comparison(
                    what="squared distance to the mean of all masks, over k",
                    theory=theory,
                    measured=apart,
                    tolerance=0.05,
                    relative=True,
                ),
                Comparison(
                    what=f"test error, {MASKS} masks beside scaled weights", theory=many, measured=plain, tolerance=0.01
                ),
                Comparison(
                    what="test error, 1 mask beside scaled weights",
                    theory=float(errors[1].mean()),
                    measured=plain,
                    tolerance=0.01,
                    fails=True,
                ),
            ],
            sentences=[_passed(errors, plain)],
            tables=[Table(title="Errors and calibration", caption="", frame=pd.DataFrame(rows))],
            charts=[_chart(errors, plain)],
        )


def _sampled(lane: Lane, x: Tensor) -> Tensor:
    """Return probabilities [masks, N, classes] of networks with drawn masks, one for each picture."""
    method, noise = Dropout(p_hidden=0.5, p_input=0.2), noise_of("dropout_monte_carlo")
    found = []
    with torch.no_grad():
        for number in range(MASKS):
            now = Step(noise=dataclasses.replace(noise, step=number), progress=0.0, learning_rate=0.0)

            def bend(signal: Any, slot: Slot, now: Step = now) -> Any:
                return method.bend(signal, slot, now)

            found.append(bent_logits(lane, x, bend).softmax(-1))
    return torch.stack(found)


def _passed(errors: dict[int, Tensor], plain: float) -> str:
    enough = [k for k, found in errors.items() if float(found.mean()) <= plain]
    many = f"{min(enough)} masks" if enough else f"more than {max(errors)} masks"
    return f"On average it takes {many} to make as few errors as the one network with scaled weights does."


def _errors(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the share of wrong answers of each group [groups]."""
    return (probabilities.argmax(-1) != labels).double().mean(-1)


def _row(name: str, groups: Tensor, labels: Tensor) -> dict[str, str]:
    errors = _errors(groups, labels)
    tops = [group.double().max(-1) for group in groups[:50]]
    calibration = [calibration_error(top.values, top.indices == labels) for top in tops]
    return {
        "network": name,
        "groups": str(len(groups)),
        "test error, %": f"{100 * errors.mean():.2f}",
        "calibration error": f"{sum(calibration) / len(calibration):.4f}",
    }


def _chart(errors: dict[int, Tensor], plain: float) -> Drawn:
    rows = [
        {
            "k": k,
            "test error, %": 100 * float(found.mean()),
            "low": 100 * float(found.mean() - found.std()),
            "high": 100 * float(found.mean() + found.std()),
        }
        for k, found in errors.items()
    ]
    x = alt.X("k:Q", scale=alt.Scale(type="log", nice=False), title="masks that are averaged, k")
    base = alt.Chart(pd.DataFrame(rows)).encode(x=x)
    rule = alt.Chart(pd.DataFrame([{"test error, %": 100 * plain}])).mark_rule(color=GREY, strokeDash=[4, 3])
    y = alt.Y("test error, %:Q", scale=alt.Scale(zero=False))
    return Drawn(
        title="Test error over the number of masks",
        caption=(
            "Points: the mean over groups of k masks, bars one standard deviation of groups. Dashed: the one network "
            "with scaled weights."
        ),
        chart=alt.LayerChart(
            layer=[
                base.mark_rule(color=BLUE, opacity=0.5).encode(y=alt.Y("low:Q", title="test error, %"), y2="high:Q"),
                base.mark_point(filled=True, color=BLUE, size=45).encode(y=y),
                rule.encode(y=y),
            ]
        ).properties(width=400, height=220),
    )
