"""What a race did to means, intervals and p-values, and which arms it gave up, in words."""

from __future__ import annotations

from regtune.analysis.verdicts import against_baseline, held
from regtune.core.metric import confirmed_by
from regtune.results.loader import Results
from regtune.statistics.comparisons import NOT_KNOWN
from regtune.statistics.looks import FAR
from regtune.statistics.racing import Race


def raced_words(results: Results) -> str:
    """Say in the caption what a race did; empty without one."""
    race = Race.of(results.sweep["confirm"])
    if race is None:
        return ""
    looks, metric = ", ".join(map(str, race.looks)), confirmed_by(results.sweep)
    text = (
        f"Racing: after {looks} seeds only the baseline and arms not yet resolved against it went on, the error split "
        f"over these looks in proportion to the seeds that each adds; p-values and intervals of the difference are by "
        f"that split, those of {metric.short} and of better in % are not corrected for it, and means after racing lean "
        f"outward."
    )
    if results.searches is None:
        return text
    return (
        f"{text} All looks add the same variance over choices, known at the first; the noise of the few seeds that it "
        f"rests on is left in it. An arm that it alone would keep "
        f"unresolved at every look to come gets no more seeds; its mean is then taken to lie as far out as it would "
        f"by these seeds with probability {100 * FAR:g} %."
    )


def held_words(results: Results) -> list[str]:
    """Return in a sentence which arms a race over searches gave up while their spread over searches is known."""
    found = against_baseline(results)
    arms = [arm for arm in held(results) if found[arm].note != NOT_KNOWN]
    if not arms:
        return []
    return [
        f"{', '.join(arms)}: given no more seeds, since the variance over searches alone would keep the verdict "
        f"unresolved; more trials in search might resolve it, more seeds would not."
    ]
