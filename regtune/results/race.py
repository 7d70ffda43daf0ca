"""What a race starts from and which trial keys it did not need, read off the rows of `loader.Results.trials`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from regtune.core.header import SweepRecord
from regtune.core.metric import Metric
from regtune.core.records import BAD_ENDS, Json, TrialKey
from regtune.statistics.racing import Beyond, Race

ENDS = ("ok", *BAD_ENDS)


def ended_of(
    rows: Iterable[Json], arms: Iterable[str], confirmed: Collection[str], metric: Metric
) -> dict[str, dict[int, float | None] | None]:
    """Return by arm and seed a metric on test of every confirm trial that has ended, None where it has none.

    Where less of it is better its sign is turned: a race is about scores of which more is.
    The arms keep their order, the baseline first; one that is not among those `confirmed` is None altogether.
    """
    ended: dict[str, dict[int, float | None] | None] = {arm: {} if arm in confirmed else None for arm in arms}
    for row in rows:
        mine = ended.get(row["arm"])
        if mine is not None and row["phase"] == "confirm" and row["status"] in ENDS:
            value = row[metric.test] if row["status"] == "ok" else None
            mine[row["number"]] = None if value is None or math.isnan(value) else metric.to_maximize(value)
    return ended


def unneeded(
    keys: Mapping[TrialKey, Json], sweep: SweepRecord, confirmed: Collection[str], beyond: Beyond
) -> list[TrialKey]:
    """Return the trial keys of confirm that a race which is over did not ask for; none while it is not, or without one.

    `beyond` is that of `Race.seeds`.
    """
    race = Race.of(sweep.confirm)
    if race is None:
        return []
    ended = ended_of(keys.values(), sweep.arms, confirmed, sweep.confirm.metric)
    seeds = race.seeds(ended, beyond)
    if any(number not in (ended[arm] or {}) for arm, count in seeds.items() for number in range(count)):
        return []
    mine = [key for key in keys if key.phase == "confirm" and key.arm in seeds]
    return [key for key in mine if keys[key]["status"] == "missing" and key.number >= seeds[key.arm]]
