"""Rivals: configurations that another search might have chosen, trained on a few of the seeds of confirm.

How far they score from the choice says how far a verdict depends on this one search.
"""

from __future__ import annotations

from regtune.core.halving import join_number, split_number
from regtune.core.metric import METRICS
from regtune.core.records import Outcome, TrialKey
from regtune.core.selection import Scored
from regtune.results.searches import Scores, Searches
from regtune.search.confirm import confirm_trial
from regtune.search.scheduler import PlannedScheduler, Suggestion
from regtune.search.select import SelectScheduler
from regtune.statistics.racing import Beyond, Ended
from regtune.sweep.sweep import Sweep


class RivalsScheduler(PlannedScheduler):
    """Hands out the first seeds of confirm for each rival of each arm, seed by seed.

    `scored` is what searches are drawn from again.
    """

    def __init__(self, sweep: Sweep, select: SelectScheduler, scored: Scored) -> None:
        super().__init__()
        self.sweep, self._params, self._metric = sweep, select.params, METRICS[sweep.confirm.metric]
        self._searches = Searches.of(sweep.recorded, scored, select.choices)
        self._scores: Scores = {}
        if self._searches is not None:
            self.plan(
                TrialKey(arm, "rivals", join_number(number, seed))
                for seed in range(self._searches.seeds)
                for arm, numbers in self._searches.rivals.items()
                for number in numbers
            )

    def at(self, key: TrialKey) -> Suggestion:
        """Return the trial of a rival on a seed of confirm."""
        number, seed = split_number(key.number)
        params = self._params[key.arm][number]
        return Suggestion(key, confirm_trial(self.sweep, key.arm, params, seed), params)

    def has(self, key: TrialKey) -> bool:
        """Return whether a trial key is planned; rivals of an earlier choice no longer count."""
        return key.phase == "rivals" and self.is_planned(key)

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        """Take note of a score, by which a race over searches looks."""
        value = outcome.metrics.get(self._metric.test)
        if outcome.status == "ok" and value is not None:
            number, seed = split_number(key.number)
            self._scores.setdefault((key.arm, number), {})[seed] = self._metric.to_maximize(value)

    def beyond(self, ended: Ended) -> Beyond:
        """Return for a race the variances over searches by these scores of confirm and those of all rivals.

        See `Searches.variances`. None where verdicts are about the configuration that was found.
        """
        if self._searches is None:
            return None
        scores = dict(self._scores)
        for arm, number in self._searches.choices.numbers.items():
            mine = {seed: score for seed, score in (ended.get(arm) or {}).items() if score is not None}
            scores[arm, number] = mine
        return self._searches.variances([arm.name for arm in self.sweep.arms], scores, corrected=False)
