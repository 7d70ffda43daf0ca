"""What sweeps that differ in nothing but their seed say together. Frames in, a frame or a sentence out.

A frame of verdicts has one row per sweep and arm: sweep, arm, verdict, difference (a fraction), low and high, the ends
of its interval; NaN where there is none.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from scipy import stats

TRUE_IN_AA = ("unresolved", "equal", "")


def summary(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm and one for all of them; differences in points, shares in percent.

    `mean` and `sd` are of the differences to the baseline over sweeps, in the last row the mean of the arms' sd.
    `opposite` is the share of pairs of sweeps of which one says better and the other worse, `covered` that of the
    intervals that contain the mean difference over the other sweeps, see `covered`; `half` is the mean half-width
    of the intervals.
    """
    counted = verdicts.assign(half=(verdicts["high"] - verdicts["low"]) / 2)
    counted["covered"] = pd.concat([covered(mine) for _, mine in counted.groupby("arm")])
    rows = [{"arm": arm, **_row(mine)} for arm, mine in counted.groupby("arm", sort=False)]
    whole = {"arm": "all arms", **_row(counted), "opposite": float(np.mean([row["opposite"] for row in rows]))}
    whole |= {"mean": 100 * counted["difference"].mean(), "sd": pd.Series([row["sd"] for row in rows]).mean()}
    return pd.DataFrame([*rows, whole])


def _row(mine: pd.DataFrame) -> dict[str, float]:
    words = mine["verdict"]
    pairs = list(itertools.combinations(words, 2))
    return {
        "n": len(mine),
        "mean": 100 * mine["difference"].mean(),
        "sd": 100 * mine["difference"].std(),
        "better": 100 * (words == "better").mean(),
        "worse": 100 * (words == "worse").mean(),
        "unresolved": 100 * (~words.isin(["better", "worse"])).mean(),
        "opposite": 100 * float(np.mean([{*pair} == {"better", "worse"} for pair in pairs])) if pairs else math.nan,
        "covered": 100 * mine["covered"].mean(),
        "half": 100 * mine["half"].mean(),
    }


def covered(mine: pd.DataFrame) -> pd.Series[float]:
    """Return of each sweep of one arm whether its interval contains the mean difference over the other sweeps.

    `mine` has the half-widths of the intervals beside them. 1 or 0; NaN where there is no difference, or no other. A
    difference that is 0 by construction ("off is as good") has no interval: it counts as containing the mean where
    that lies within the mean half-width of the others, 0 where they have no interval either.
    """
    found = {}
    for place, row in mine.iterrows():
        others = mine.drop(index=place)
        truth = others["difference"].mean()
        if math.isnan(row["difference"]) or math.isnan(truth):
            found[place] = math.nan
        elif math.isnan(row["low"]) or math.isnan(row["high"]):
            half = others["half"].mean()
            within = abs(truth - row["difference"]) <= (0.0 if math.isnan(half) else half)
            found[place] = float(within) if row["difference"] == 0 else math.nan
        else:
            found[place] = float(row["low"] <= truth <= row["high"])
    return pd.Series(found, dtype=float)


def false_verdicts(verdicts: pd.DataFrame) -> str:
    """Return in words how many sweeps whose arms are all the same thing say that one is not.

    The interval is Clopper's and Pearson's (1934), of 95 %.
    """
    false = ~verdicts["verdict"].isin(TRUE_IN_AA)
    by_sweep = false.groupby(verdicts["sweep"]).any()
    count, n = int(by_sweep.sum()), len(by_sweep)
    interval = stats.binomtest(count, n).proportion_ci(0.95, method="exact")
    return (
        f"A/A: a false verdict in {count} of {n} sweeps, {100 * count / n:.1f} % "
        f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]; {int(false.sum())} of {len(false)} verdicts."
    )
