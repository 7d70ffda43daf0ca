"""What else was measured of every arm: likelihood, calibration, fit, weights, and what search had promised."""

from __future__ import annotations

import pandas as pd

from regtune.analysis.budget import optimism
from regtune.analysis.families import family_columns
from regtune.core.metric import Metric
from regtune.results.loader import Results
from regtune.results.replay import TABLE_METRICS


def other_columns(metric: Metric) -> list[str]:
    """Return what of `TABLE_METRICS` stands beside the metric of the sweep, which has a table of its own."""
    return [name for name in TABLE_METRICS if name != metric.test]


def metrics(results: Results) -> pd.DataFrame:
    """Return one row per arm: mean and standard deviation (`*_sd`) over its confirmed trials, and its optimism.

    How NLL and ECE, or accuracy where verdicts are by another metric, compare with the first arm is in the columns of
    `family_columns`. Where there was a select there are `selected` and `optimism_selected`, see `budget.optimism`.
    Units are those of `records.Outcome`; `kept_epoch` and `retrain_epochs` are means, `targets_missed` counts trials.
    """
    confirmed = results.confirmed
    by_arm = confirmed.groupby("arm", sort=False)
    arms = pd.Index(list(results.sweep.arms), name="arm")
    frame = pd.DataFrame(index=arms)
    for name in other_columns(results.sweep.confirm.metric):
        values = by_arm[name]
        frame = frame.assign(**{name: values.mean(), f"{name}_sd": values.std()})
    frame = frame.assign(
        kept_epoch=by_arm["kept"].mean(),
        retrain_epochs=by_arm["retrain_epochs"].mean(),
        targets_missed=(confirmed["target_reached"] == 0).groupby(confirmed["arm"]).sum(),
    )
    frame["targets_missed"] = frame["targets_missed"].fillna(0).astype(int)
    shown = ["searched", "optimism_validation", "optimism_test"]
    shown += ["selected", "optimism_selected"] if results.sweep.select else []
    promised = optimism(results).set_index("arm")[shown]
    return frame.join(family_columns(results)).join(promised).reset_index()
