"""The table of the budget and its words."""

from __future__ import annotations

import pandas as pd

from regtune.core.records import PHASES
from regtune.reports.tables.aa import aa_cost
from regtune.reports.text import by_phase, number
from regtune.results.loader import Results

CAPTION = (
    "ok, pruned, failed: how trials ended (failed includes diverged and lost). Planned epochs: what the plan gives the "
    "arm, in a race without the seeds that it turned out not to need. Epochs, examples, gradients (evaluations on a "
    "batch) and seconds (training, and measuring after each epoch) were spent, also on trials that were pruned, failed "
    "or no longer count. Epochs that an interrupted trial repeated since its checkpoint are not in the log and not "
    "counted. data %: the share of an update's time that batches and augmentation took."
)

REUSED = (
    "reused: trials taken from other logs. Their epochs count as any; their seconds, which were spent there, do not."
)


PRETRAINED = (
    "pretraining: examples and seconds of the pretrainings that trials of an arm share, each counted once and in the "
    "phase that came first, beside all others."
)


def budget_caption(results: Results) -> str:
    """Say what may be concluded from the columns, and what they are, in this sweep."""
    which = "Whether every arm had its planned budget, and what that took; not which arm is better."
    selected, over = bool(results.sweep.select), results.sweep.confirm.over_searches
    names = ["search", *(["select"] if selected else []), "confirm", *(["rivals"] if over else [])]
    caption = f"{CAPTION} {REUSED}" if (results.trials["reused_from"] != "").any() else CAPTION
    epochs = results.epochs
    pretrained = "pretrained" in epochs and epochs["pretraining_examples"].gt(0).any()  # weights of a file cost none
    caption = f"{caption} {PRETRAINED}" if pretrained else caption
    return f"{which} {' + '.join('abcd'[: len(names)])} is {' + '.join(names)}. {caption} {aa_cost(results)}".rstrip()


def budget_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `budget` as a reader wants them; columns in which nothing stands are left out."""
    phases = [phase for phase in PHASES if f"{phase}_ok" in frame]

    def both(name: str, form: str = "") -> list[str]:
        return by_phase([frame[f"{phase}_{name}"] for phase in phases], form)

    def any_of(name: str) -> bool:
        return bool(sum(frame[f"{phase}_{name}"].fillna(0).sum() for phase in phases))

    columns = {"arm": frame["arm"].to_list()}
    columns |= {word: both(word) for word in ("ok", "pruned", "failed")}
    if any_of("missing"):
        columns["missing"] = both("missing")
    if any_of("reused"):
        columns["reused"] = both("reused")
    columns |= {"planned epochs": both("planned_epochs", ","), "epochs": both("epochs", ",")}
    columns |= {name: both(name, ",.0f") for name in ("examples", "gradients") if any_of(name)}
    columns["seconds"] = both("seconds", ".1f")
    if f"{phases[0]}_pretraining_examples" in frame:
        columns["pretraining examples"] = both("pretraining_examples", ",.0f")
        columns["pretraining seconds"] = both("pretraining_seconds", ".1f")
    if any_of("gpu_seconds"):
        columns["GPU seconds"] = both("gpu_seconds", ".1f")
    columns["data %"] = [number(100 * value, ".0f") for value in frame["data_share"]]
    return pd.DataFrame(columns)
