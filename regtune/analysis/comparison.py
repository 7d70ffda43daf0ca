"""Everything that is said of an arm in one row, scores, other metrics, budget, and what these are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from regtune.analysis.budget import budget, budget_by_phase, warnings
from regtune.analysis.metrics import metrics
from regtune.analysis.scores import scores
from regtune.analysis.spread import spread
from regtune.analysis.tuning import tuning
from regtune.analysis.verdicts import ArmVerdict, verdicts
from regtune.results.loader import Results


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The numbers of one log, unrounded: each is made when it is first asked for, and once.

    A command makes one of these for each log that it reads and hands it down, whatever it shows of it.
    """

    results: Results

    @cached_property
    def verdicts(self) -> dict[str, ArmVerdict]:
        """What is said of each other arm beside the first."""
        return verdicts(self.results)

    @cached_property
    def budget_by_phase(self) -> pd.DataFrame:
        """One row per arm and phase: what it was promised and what it took."""
        return budget_by_phase(self.results)

    @cached_property
    def warnings(self) -> list[str]:
        """A sentence for each way in which the arms did not have the same budget."""
        return warnings(self.results, self.budget_by_phase)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One row per arm, see `comparison`."""
        results, frame = self.results, scores(self.results, self.verdicts)
        spent = budget(results, self.budget_by_phase)
        for part in (metrics(results), spent, tuning(results), spread([results])):
            frame = frame.merge(part, on="arm", validate="one_to_one")
        return frame


def comparison(results: Results) -> pd.DataFrame:
    """Return one row per arm, in the order of the sweep file: the columns of `scores`, `metrics`, `budget`, `tuning`
    and `spread`.

    Accuracies and differences are fractions, seconds are wall time summed over trials; numbers are not rounded.
    """
    return Analysis(results=results).rows
