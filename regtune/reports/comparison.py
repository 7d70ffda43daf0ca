"""The comparison table: every arm at its best configuration, against the first arm of the sweep."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from regtune.reports.caption import caption
from regtune.reports.unsaid import unsaid
from regtune.reports.verdicts import against_baseline
from regtune.reports.wording import knobs_chosen
from regtune.statistics import Comparison, mean_interval
from regtune.store import Results, load

FAULTS = ["failed", "diverged", "lost"]
OPEN = ["missing", "running", "interrupted"]


def comparison(results: Results) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file.

    Accuracies and differences are fractions, `seconds` is training time summed over trials, `data_share` the
    share of an update that batches and augmentation took, the mean over epochs. `n` counts confirmed seeds; a
    difference is taken over the seeds that both arms finished.
    """
    arms = list(results.sweep["arms"])
    trials = results.trials
    timed = results.epochs.reindex(columns=["arm", "data_share"])  # older logs have no such column
    shares = timed.groupby("arm")["data_share"].mean()
    confirmed = trials[(trials["phase"] == "confirm") & (trials["status"] == "ok")]
    compared = against_baseline(results)
    rows = []
    for arm in arms:
        mine = trials[trials["arm"] == arm]
        rows.append(
            {"arm": arm}
            | {"knobs": json.dumps(results.chosen.get(arm, {}))}
            | _confirmed(confirmed[confirmed["arm"] == arm])
            | _difference(compared.get(arm))
            | _counted(mine[mine["phase"] == "search"]["status"], "search")
            | _counted(mine[mine["phase"] == "confirm"]["status"], "confirm")
            | {"epochs": int(mine["epochs"].sum()), "seconds": float(mine["seconds"].sum())}
            | {"data_share": float(shares.get(arm, math.nan))}
        )
    return pd.DataFrame(rows)


def _confirmed(final: pd.DataFrame) -> dict[str, Any]:
    accuracy = mean_interval(final["test_accuracy"].to_list())
    return {
        "n": accuracy.n,
        "test_accuracy": accuracy.mean,
        "test_accuracy_low": accuracy.low,
        "test_accuracy_high": accuracy.high,
        "kept_epoch": float(final["kept"].mean()) if len(final) else math.nan,
        "retrain_epochs": float(final["retrain_epochs"].astype(float).mean()) if len(final) else math.nan,
        "targets_missed": int((final["target_reached"] == 0).sum()),
    }


def _difference(against: Comparison | None) -> dict[str, Any]:
    return {
        "pairs": against.n if against else 0,
        "difference": against.mean if against else math.nan,
        "difference_low": against.low if against else math.nan,
        "difference_high": against.high if against else math.nan,
        "p_holm": against.p_holm if against else math.nan,
        "verdict": against.verdict if against else "",
    }


def _counted(status: pd.Series[str], phase: str) -> dict[str, int]:
    return {
        f"{phase}_ok": int((status == "ok").sum()),
        f"{phase}_pruned": int((status == "pruned").sum()),
        f"{phase}_failed": int(status.isin(FAULTS).sum()),
        f"{phase}_missing": int(status.isin(OPEN).sum()),
    }


def formatted(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table as a reader wants it: few columns, percent, intervals in brackets."""
    rows, most = frame.to_dict("records"), frame["n"].max()
    return pd.DataFrame(
        {
            "arm": frame["arm"],
            "knobs chosen": [knobs_chosen(text) for text in frame["knobs"]],
            "n": frame["n"],
            "test accuracy %": [
                _interval(row["test_accuracy"], row["test_accuracy_low"], row["test_accuracy_high"]) for row in rows
            ],
            "difference": [
                _interval(row["difference"], row["difference_low"], row["difference_high"], sign="+")
                + (f" over {row['pairs']} seeds" if row["pairs"] < most else "")
                if row["verdict"]
                else ""
                for row in rows
            ],
            "verdict": frame["verdict"],
            "kept epoch": [_number(value, ".1f") for value in frame["kept_epoch"]],
            **_retrained(frame),
            **{word: _two_phases(frame, word) for word in ("ok", "pruned", "failed")},
            **({"missing": _two_phases(frame, "missing")} if _open(frame) else {}),
            "epochs": frame["epochs"],
            "seconds": [f"{value:.1f}" for value in frame["seconds"]],
            "data %": [_number(100 * value, ".0f") for value in frame["data_share"]],
        }
    )


def _retrained(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of a sweep that trains a second time."""
    if frame["retrain_epochs"].isna().all():
        return {}
    columns = {"epochs again": [_number(value, ".1f") for value in frame["retrain_epochs"]]}
    if frame["targets_missed"].any():
        columns["targets missed"] = [str(count) for count in frame["targets_missed"]]
    return columns


def failed(results: Results) -> pd.DataFrame:
    """Return one row per trial that failed, diverged or was lost: its cell, status and message."""
    bad = results.trials[results.trials["status"].isin(FAULTS)]
    cells = [f"{row.arm}/{row.phase}/{row.number}" for row in bad.itertuples()]
    return pd.DataFrame({"trial": cells, "status": bad["status"].to_list(), "message": bad["message"].to_list()})


def failures(results: Results) -> list[str]:
    """Return one line per trial that failed, diverged or was lost."""
    return [f"{row.trial} {row.status}: {row.message}" for row in failed(results).itertuples()]


def markdown(results: Results) -> str:
    """Return caption, table, what it cannot say and failures as Markdown."""
    table = comparison(results)
    lines = [caption(results), "", formatted(table).to_markdown(index=False, disable_numparse=True)]
    if gaps := unsaid(table):
        lines += ["", *(f"- {line}" for line in gaps)]
    bad = failures(results)
    if bad:
        lines += ["", f"{len(bad)} trials did not end well:", "", *(f"- {line}" for line in bad)]
    return "\n".join(lines) + "\n"


def write_tables(folder: Path) -> int:
    """Write `table.md` and `table.csv` of a results folder; return the confirmed trials behind them."""
    results = load(folder)
    (folder / "table.md").write_text(markdown(results), encoding="utf-8")
    table = comparison(results)
    table.to_csv(folder / "table.csv", index=False)
    return int(table["n"].sum())


def _open(frame: pd.DataFrame) -> bool:
    return bool((frame["search_missing"] + frame["confirm_missing"]).sum())


def _two_phases(frame: pd.DataFrame, word: str) -> list[str]:
    pairs = zip(frame[f"search_{word}"], frame[f"confirm_{word}"], strict=True)
    return [f"{search} + {confirm}" for search, confirm in pairs]


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def _interval(mean: float, low: float, high: float, sign: str = "") -> str:
    """Return a fraction and its interval in percent; a dash where there is none."""
    if math.isnan(mean):
        return "–"
    if math.isnan(low):
        return f"{100 * mean:{sign}.2f} no interval"
    # An end cut at 0 excludes 0, which a reader must be able to see.
    left = "(0" if low == 0 else f"[{100 * low:{sign}.2f}"
    right = "0)" if high == 0 else f"{100 * high:{sign}.2f}]"
    return f"{100 * mean:{sign}.2f} {left}, {right}"
