"""Several sweeps together (data sets x networks): ranks of arms, Friedman's test, what comes after it, wins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from regtune.statistics.comparisons import FEWEST, Verdict


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Mean ranks over sweeps, 1 the best, with ties shared.

    `n` counts the sweeps that have all arms, `left_out` those that have not. `p` is Friedman's. `pairs` [arm, arm]
    has Nemenyi's p-values of all pairs, which count how many they are; `critical` is his critical difference of
    mean ranks. NaN where the data allow none; `note` then says why.
    """

    n: int
    left_out: tuple[str, ...]
    mean: pd.Series[float]
    p: float
    pairs: pd.DataFrame
    critical: float
    note: str


def ranks(scores: pd.DataFrame, *, level: float = 0.95) -> Ranks:
    """Rank arms by scores [sweep, arm], mean confirmed scores of which more is better.

    Sweeps that lack an arm are left out, since ranks of other fields are not comparable (J. Demsar, 2006). With
    fewer than 3 arms or 3 sweeps, or where every sweep has all arms tied, there are ranks and no p-values. The
    inference is over sweeps: it takes them for a random sample of those that one might meet. Friedman's p is
    from the chi-squared distribution, too cautious for few sweeps.
    """
    import scikit_posthocs  # imports matplotlib, so only here

    whole = scores.dropna()
    left_out = tuple(map(str, scores.index.difference(whole.index, sort=False)))
    ranked = whole.rank(axis="columns", ascending=False)
    n, arms = whole.shape
    pairs = pd.DataFrame(math.nan, index=scores.columns, columns=scores.columns)
    note = _why_not(ranked)
    if not note:
        pairs = scikit_posthocs.posthoc_nemenyi_friedman(whole.to_numpy())
        pairs = pairs.set_axis(scores.columns, axis=0).set_axis(scores.columns, axis=1)
    quantile = float(stats.studentized_range.ppf(level, arms, math.inf)) if not note else math.nan
    return Ranks(
        n=n,
        left_out=left_out,
        mean=ranked.mean(),
        p=float(stats.friedmanchisquare(*whole.to_numpy().T).pvalue) if not note else math.nan,
        pairs=pairs,
        critical=quantile * math.sqrt(arms * (arms + 1) / (12 * n)) if not note else math.nan,
        note=note,
    )


def _why_not(ranked: pd.DataFrame) -> str:
    sweeps, arms = ranked.shape
    if arms < FEWEST:
        return f"fewer than {FEWEST} arms"
    if sweeps < FEWEST:
        return f"fewer than {FEWEST} sweeps that have all arms"
    return "all arms tied in all sweeps" if (ranked.nunique(axis="columns") == 1).all() else ""


def win_tie_loss(verdicts: Iterable[Mapping[str, Verdict]]) -> pd.DataFrame:
    """Count for each arm [arm, (win, tie, loss)] in how many sweeps it was better than, not told from, or worse.

    One mapping for each sweep, from arm to the verdict on its difference to the baseline.
    """
    words: dict[Verdict, str] = {"better": "win", "unresolved": "tie", "off is as good": "tie", "worse": "loss"}
    counts: dict[str, dict[str, int]] = {}
    for sweep in verdicts:
        for arm, verdict in sweep.items():
            counts.setdefault(arm, dict.fromkeys(words.values(), 0))[words[verdict]] += 1
    return pd.DataFrame.from_dict(counts, orient="index", columns=list(dict.fromkeys(words.values()))).astype(int)
