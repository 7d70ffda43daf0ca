"""Knob importance: how much of the spread of scores each knob explains, where there are trials enough to ask."""

from __future__ import annotations

import altair as alt
import pandas as pd

from regtune.core.distributions import read_all
from regtune.core.header import ArmRecord
from regtune.core.metric import Metric
from regtune.core.records import Json
from regtune.reports.figures._drawing import BLUE, WIDTH, Drawing, Nothing
from regtune.reports.text import knob_name
from regtune.results.loader import Results

FEWEST = 20  # finished trials of an arm
MOST = 100  # the newest of them: a forest of 1,000 takes 20 s, and there is one per arm


def frame(results: Results) -> pd.DataFrame:
    """Return arm, knob and importance (shares of 1), for arms of several knobs with trials enough."""
    trials, metric = results.trials, results.sweep.search.metric
    finished = trials[(trials["phase"] == "search") & (trials["status"] == "ok") & trials[metric.val].notna()]
    rows = []
    for arm, entry in results.sweep.arms.items():
        mine = finished[finished["arm"] == arm].tail(MOST)
        if len(mine) >= FEWEST and mine[metric.val].nunique() > 1:
            shares = _importance(mine, entry, metric)
            rows += [{"arm": arm, "knob": f"{knob_name(k)}, {arm}", "importance": v} for k, v in shares.items()]
    return pd.DataFrame(rows, columns=["arm", "knob", "importance"])


def importance(results: Results) -> Drawing | Nothing:
    """Which knobs matter within each arm: the share of the variance of validation accuracy that each explains, by
    Optuna's fANOVA (F. Hutter et al., 2014). It uses the newest finished search trials of the arm, 100 at most, and the
    knobs that all of them have. Pruned trials are left out, so weak regions count less than they should.
    """
    rows = frame(results)
    if rows.empty:
        return Nothing(why=f"No arm with several knobs has the {FEWEST} finished search trials that importance needs.")
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_bar(color=BLUE, height={"band": 0.7})
        .encode(
            x=alt.X("importance:Q", title="share of variance", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("knob:N", sort=None, title=None, axis=alt.Axis(labelLimit=210)),
            tooltip=["knob:N", alt.Tooltip("importance:Q", format=".2f")],
        )
        .properties(width=WIDTH, height=alt.Step(22))
    )
    return chart


def _importance(trials: pd.DataFrame, arm: ArmRecord, metric: Metric) -> dict[str, float]:
    """Return the importance of the knobs that all these trials have; none where there is only one."""
    from optuna import create_study, logging
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import create_trial

    known = read_all(arm.space)
    common = [k for k, space in known.items() if not space.single() and all(k in p for p in trials["params"])]
    if len(common) < 2:
        return {}
    level = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)  # making a study says so
    study = create_study(direction="maximize")
    logging.set_verbosity(level)
    for row in trials.to_dict("records"):
        mine: Json = {k: row["params"][k] for k in common}
        study.add_trial(create_trial(params=mine, distributions={k: known[k] for k in common}, value=row[metric.val]))
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), params=common)
