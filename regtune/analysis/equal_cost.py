"""What search found at equal total cost, in which pretraining and whatever else an arm does count."""

from __future__ import annotations

import math

import pandas as pd

from regtune.analysis.columns import Row
from regtune.analysis.tuning import curve, search_shares
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.results.loader import Results

COSTS = ("examples", "seconds")
ROOM = 1e-9  # relative, for sums of floats


def equal_cost(results: Results, phases: pd.DataFrame, cost: str) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file, given the frame of `budget_by_phase`.

    `cost` is "examples", those whose gradient was evaluated (an update of SAM counts twice) and those of pretraining,
    or "seconds" of wall time. `pretraining` is what `pretrainings` of its search trials took, each done once for the
    trials that share it, `trial` the mean over the search trials that it trained, without pretraining, `total` what
    all of its search took. For each of `levels`, smallest first and with the numbers 1 and on in their names:
    `level_<k>` is the cost, the same in all rows, `trials_<k>` how many trials of the arm it pays for with their
    pretraining, at most those that there are, and `best_<k>` the median score of the best of so many, in the unit of
    the metric of search; NaN for none. `all_<k>` says whether these were all trials of the arm.
    Raises Refused for costs that the log does not have.
    """
    searched = phases[phases["phase"] == "search"].set_index("arm")
    shares = {arm: scores for arm, scores in search_shares(results).items() if scores}
    if not shares:
        raise Refused(f"{results.path}: expected search trials that ended, given none; compare costs once there are")
    rows: list[Json] = []
    for arm in shares:
        mine: Row = searched.loc[arm].to_dict()
        pretraining, spent = mine[f"pretraining_{cost}"], _spent(results, mine, cost)
        if not math.isfinite(spent):
            raise Refused(f"{results.path}: its log does not say how many examples arm {arm} took; take seconds")
        trained, keys = _trained(results, arm)
        found: Json = {"arm": arm, "pretraining": pretraining, "pretrainings": keys}
        rows.append(found | {"trial": spent / trained, "total": pretraining + spent})
    compared = levels(rows, results.sweep.baseline)
    for row in rows:
        scores = shares[row["arm"]]
        for number, level in enumerate(compared, start=1):
            count = max(n for n in range(len(scores) + 1) if cost_of(row, n) <= level * (1 + ROOM))
            known = curve(results, row["arm"], scores, [count]) if count else None
            best = known.best[0] if known else math.nan
            row |= {f"level_{number}": level, f"trials_{number}": count, f"best_{number}": best}
            row[f"all_{number}"] = count == len(scores)
    order = pd.DataFrame({"arm": list(results.sweep.arms)})
    return order.merge(pd.DataFrame(rows), on="arm", how="left", validate="one_to_one")


def cost_of(row: Json, trials: int) -> float:
    """Return what so many search trials of an arm cost: each of the first ones has a pretraining of its own to pay."""
    done = row["pretrainings"]
    each = row["pretraining"] / done if done else 0.0
    return float(trials * row["trial"] + min(trials, done) * each)


def levels(rows: list[Json], first: str) -> list[float]:
    """Return the costs at which arms are compared: of all of search of the cheapest, the first and the dearest arm.

    Those that are nearly the same stand once.
    """
    totals = [row["total"] for row in rows]
    wanted = sorted({min(totals), max(totals), *(row["total"] for row in rows if row["arm"] == first)})
    return [each for place, each in enumerate(wanted) if not place or each > wanted[place - 1] * (1 + ROOM)]


def _trained(results: Results, arm: str) -> tuple[int, int]:
    """Return how many search trials of an arm have an epoch, and how many pretrainings they had."""
    epochs = results.epochs
    mine = epochs[(epochs["arm"] == arm) & (epochs["phase"] == "search")]
    keys = set(mine["pretrained"].dropna()) - {""} if "pretrained" in mine else set()
    return mine["number"].nunique(), len(keys)


def _spent(results: Results, mine: Row, cost: str) -> float:
    """Return what the search trials of an arm took without pretraining."""
    if cost == "examples":
        return float(mine["gradients"]) * float(results.sweep.template["batch"])
    if mine["reused"]:
        raise Refused(
            f"{results.path}: expected seconds of every trial, given trials of other logs, where theirs were spent; "
            f"take examples"
        )
    return float(mine["seconds"])
