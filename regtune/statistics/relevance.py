"""Whether a difference matters: better or worse by more than a margin, or equal within it."""

from __future__ import annotations

from typing import Literal

from scipy import stats

Relevance = Literal["better", "equal", "worse", "undecided"]


def relevance(*, mean: float, error: float, df: float, margin: float, alpha: float) -> Relevance:
    """Return what a difference is beside a margin, all in one unit; wrong with probability `alpha` at most.

    `error` is the standard error of the `mean`, whatever is counted in it, and `df` its degrees of freedom. "equal"
    is by two one-sided tests, each at `alpha`: the interval at 1 - 2 alpha lies within (-margin, margin)
    (D. Schuirmann, 1987; D. Lakens, 2017). "better" and "worse" are by the interval at 1 - alpha, which lies above the
    margin, or below its negative. Where the true difference is within the margin, only the latter can be wrong, on both
    sides together with `alpha`; where it is beyond, only an end on the wrong side, with `alpha` too. So over m arms
    Bonferroni's `alpha` / m holds for all answers together, of whichever kind; Holm's steps would gain nothing, since
    whatever was rejected, one hypothesis of each arm may still be true (J. P. Shaffer, 1986). This family is one of its
    own, beside that of the tests against 0. An error that is 0 or NaN decides nothing: it would claim certainty.
    """
    if not error > 0:
        return "undecided"
    one_sided, two_sided = (float(stats.t.ppf(1 - share, df)) * error for share in (alpha, alpha / 2))
    if mean - two_sided > margin:
        return "better"
    if mean + two_sided < -margin:
        return "worse"
    return "equal" if abs(mean) + one_sided < margin else "undecided"
