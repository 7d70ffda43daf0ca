"""The budget of every arm: what it was promised and what it took, and how much search flattered its choice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from regtune.core.halving import split_number
from regtune.core.header import ArmRecord, SweepRecord
from regtune.core.records import BAD_ENDS, OPEN, Json
from regtune.core.selection import ranked
from regtune.pruners import pruning_of
from regtune.results.loader import Results

PRETRAINED = ("pretraining_examples", "pretraining_seconds")
MUCH = 0.1  # the share of an arm's trials above which its budget is another one than planned


def budget_by_phase(results: Results) -> pd.DataFrame:
    """Return one row per arm and phase, in the order of the sweep file.

    `planned_trials` and `planned_epochs`, all of their epochs together, are the promise, a second training
    included at its longest; a race promises the seeds that it has not done without. `bad` counts the trials that
    failed, diverged or were lost. Consumed were `epochs`; `examples`, those of all updates; `gradients`, gradient
    evaluations on a batch; `seconds` of training and of measuring after each epoch; `gpu_seconds`, these times the
    share of a GPU that a trial held. `pretraining_examples` and `pretraining_seconds` are those of the pretrainings
    that trials of an arm share, each counted once, in the phase that comes first. `reused` trials were reused from
    other logs: their epochs, examples and gradients are the arm's, their seconds were spent there. Trials that no
    longer count, as of a choice that was superseded, are in; what an interrupted trial trained again since its
    checkpoint is not in the log, and not here. `examples` and `gradients` are NaN where the sweep file takes "all"
    examples and the log is of a version that did not write down how many those are.
    """
    spent = _spent(results)
    rows = []
    for arm, entry in results.sweep.arms.items():
        for phase, epochs in _planned_epochs(results.sweep, entry).items():
            cells = results.trials[(results.trials["arm"] == arm) & (results.trials["phase"] == phase)]
            trials = int((cells["status"] != "unneeded").sum())
            mine = spent[(spent["arm"] == arm) & (spent["phase"] == phase)]
            rows.append(
                {"arm": arm, "phase": phase, "planned_trials": trials, "planned_epochs": trials * epochs}
                | {"bad": int(cells["status"].isin(BAD_ENDS).sum()), "epochs": len(mine)}
                | {"reused": int((cells["reused_from"] != "").sum())}
                | {
                    name: float(mine[name].sum(skipna=False))
                    for name in ("examples", "gradients", "seconds", *PRETRAINED)
                }
            )
    frame = pd.DataFrame(rows)
    return frame.assign(gpu_seconds=frame["seconds"] * results.sweep.gpus_per_trial)


def optimism(results: Results) -> pd.DataFrame:
    """Return per arm what search promised and what confirm found.

    `searched` is the best value of the metric of search on validation examples, by which its configuration was chosen
    unless select did: then it was by `selected`, its mean over the seeds of select. `validation` and `test` are the
    means of that metric over its confirmed trials. `optimism_*` say by how much `searched` is better than these, and
    `optimism_selected` by how much `selected` is better than `validation`: the difference, its sign turned where less
    is better. NaN where there is nothing to compare, as of an arm that is off. The first is what choosing
    the best of many noisy scores adds, the second has the difference between the two splits in it, the last is what
    is left of the first where the choice is by several seeds.
    """
    trials, metric = results.trials, results.sweep.search.metric
    may = pruning_of(results.sweep).finishes
    searched = trials[(trials["phase"] == "search") & trials["status"].isin(may)]
    confirmed = results.confirmed
    scored = searched[list(dict.fromkeys(["arm", "number", metric.val, "val_loss"]))]
    best: dict[str, float] = {}
    rows: list[Json] = [{str(name): value for name, value in row.items()} for row in scored.to_dict("records")]
    for row in ranked(rows, metric):
        best.setdefault(row["arm"], row[metric.val])
    means = confirmed.groupby("arm")[[metric.val, metric.test]].mean()
    means = means.reindex(list(results.sweep.arms)).rename(columns={metric.val: "validation", metric.test: "test"})
    frame = means.assign(
        searched=[best.get(arm, math.nan) for arm in means.index],
        selected=[_selected(results, arm) for arm in means.index],
    )[["searched", "selected", "validation", "test"]]
    frame.loc[frame.index.isin(results.off), ["searched", "selected"]] = math.nan
    for name, promised in (("validation", "searched"), ("test", "searched"), ("selected", "selected")):
        found = frame["validation" if name == "selected" else name]
        more = frame[promised] - found if metric.better == "higher" else found - frame[promised]
        frame[f"optimism_{name}"] = more
    return frame.rename_axis("arm").reset_index()


def _selected(results: Results, arm: str) -> float:
    """Return the mean in select of the metric of search, of the configuration of an arm's choice; NaN without any."""
    number, selected = results.choices.numbers.get(arm), results.scored.selected.get(arm, {})
    scores = [
        score.value for at, score in selected.items() if split_number(at)[0] == number and score.value is not None
    ]
    return results.sweep.search.metric.to_maximize(float(np.mean(scores))) if scores else math.nan


def warnings(results: Results, phases: pd.DataFrame) -> list[str]:
    """Return a sentence for each way in which the arms did not have the same budget; a race is meant to be one.

    `phases` is the frame of `budget_by_phase`.
    """
    notes = []
    raced = results.sweep.confirm.racing
    for phase, mine in phases.groupby("phase", sort=False):
        # A race, select by its rule, and an arm that is off are meant to be unequal.
        meant = phase in ("select", "rivals") or (phase == "confirm" and (raced or bool(results.off)))
        if mine["planned_epochs"].nunique() > 1 and not meant:
            told = ", ".join(f"{row.arm} {row.planned_epochs}" for row in mine.itertuples())
            notes.append(f"Arms had unequal budgets in {phase} (planned epochs): {told}.")
    for arm, mine in phases.groupby("arm", sort=False):
        bad, planned = int(mine["bad"].sum()), int(mine["planned_trials"].sum())
        if bad > MUCH * planned:
            notes.append(f"{bad} of the {planned} trials of {arm} failed, so it had less than its budget.")
    return notes


def _planned_epochs(sweep: SweepRecord, arm: ArmRecord) -> dict[str, int]:
    """Return the planned epochs of one trial, per phase."""
    epochs, confirm = arm.template["epochs"], sweep.confirm
    again = {"none": 0, "loss": confirm.retrain_cap}.get(confirm.retrain, epochs)
    return {
        "search": pruning_of(sweep).most_epochs,
        **({"select": epochs} if sweep.select else {}),
        "confirm": epochs + again,
        **({"rivals": epochs + again} if confirm.over_searches else {}),
    }


def _spent(results: Results) -> pd.DataFrame:
    """Return arm, phase, examples, gradients and seconds of every epoch, also of those that no longer count."""
    wanted = ["arm", "phase", "epoch", "kept", "stage", "gradients", "seconds", "reused", "pretrained", *PRETRAINED]
    parts = [part.reindex(columns=wanted) for part in (results.epochs, results.superseded) if len(part)]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=wanted)
    counted, batch = results.counted_data, results.sweep.template["batch"]
    first, more = (counted[part] if isinstance(counted.get(part), int) else np.nan for part in ("train", "validation"))
    again = frame["stage"] == "retrain"
    per_epoch, per_epoch_again = first // batch, (first + more) // batch
    updates = pd.Series(np.where(again, per_epoch_again, per_epoch), index=frame.index)
    if results.sweep.confirm.retrain == "updates":  # the last epoch ends with the last update
        updates = updates.where(~again, np.minimum(updates, _left(frame, again, per_epoch, per_epoch_again)))
    gradients = frame["gradients"].astype(float).fillna(1.0)  # older logs do not say
    reused = frame["reused"].eq(True)
    seconds = frame["seconds"].astype(float).mask(reused, 0.0)
    # Trials with one key shared it; older logs have no such column.
    shared = frame["pretrained"].isna() | frame.duplicated(["arm", "pretrained"])
    pretrained = {name: frame[name].astype(float).mask(shared, 0.0) for name in PRETRAINED}
    pretrained["pretraining_seconds"] = pretrained["pretraining_seconds"].mask(reused, 0.0)
    return frame.assign(examples=updates * batch, gradients=updates * gradients, seconds=seconds, **pretrained)


def _left(frame: pd.DataFrame, again: pd.Series[bool], per_epoch: float, per_epoch_again: float) -> pd.Series[float]:
    """Return how many updates of a second training are left when an epoch of it begins."""
    run = (frame["epoch"] == 1).cumsum()  # every run of a trial key begins with its epoch 1
    trained = frame[~again].groupby(run[~again])[["epoch", "kept"]].last()
    length, kept = (run.map(trained[name]) for name in ("epoch", "kept"))
    return kept * per_epoch - (frame["epoch"] - length - 1) * per_epoch_again


SPENT = ("reused", "epochs", "examples", "gradients", "seconds", "gpu_seconds", *PRETRAINED)


def budget(results: Results, phases: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm with the columns of `budget.budget_by_phase` for each phase, and how its trials ended.

    `phases` is that frame; without columns of pretraining where there was none. `data_share` is the share of an update
    that batches and augmentation took, the mean over epochs.
    """
    trials = results.trials
    timed = results.epochs.reindex(columns=["arm", "data_share"])  # older logs have no such column
    shares = timed.groupby("arm")["data_share"].mean()
    rows: dict[str, dict[str, Any]] = {}
    for entry in phases.to_dict("records"):
        arm, phase = entry["arm"], entry["phase"]
        row = rows.setdefault(arm, {"arm": arm})
        status = trials[(trials["arm"] == arm) & (trials["phase"] == phase)]["status"]
        row |= _counted(status, phase)
        row |= {f"{phase}_{name}": entry[name] for name in ("planned_trials", "planned_epochs", *SPENT)}
        row["data_share"] = float(shares.get(arm, math.nan))
    frame = pd.DataFrame(list(rows.values()))
    pretraining = [name for name in frame if str(name).endswith(PRETRAINED)]
    return frame if frame[pretraining].any(axis=None) else frame.drop(columns=pretraining)


def _counted(status: pd.Series[str], phase: str) -> dict[str, int]:
    return {
        f"{phase}_ok": int((status == "ok").sum()),
        f"{phase}_pruned": int((status == "pruned").sum()),
        f"{phase}_failed": int(status.isin(BAD_ENDS).sum()),
        f"{phase}_missing": int(status.isin(OPEN).sum()),
    }
