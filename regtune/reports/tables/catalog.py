"""The tables of a sweep as text: which arm, what else was measured, at what cost, with how much search, what a
difference varies by. Every format prints these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from regtune.analysis.comparison import Analysis
from regtune.reports.tables._table import Table
from regtune.reports.tables.aa import AA, aa
from regtune.reports.tables.budget import budget_as_text, budget_caption
from regtune.reports.tables.cannot_be_said import cannot_be_said, held_words, resolved_on_this_test_set, undefined
from regtune.reports.tables.caption import caption
from regtune.reports.tables.metrics import metrics_as_text, metrics_caption, metrics_sentences
from regtune.reports.tables.scores import scores_as_text
from regtune.reports.tables.spread import spread_table
from regtune.reports.tables.tuning import tuning_table
from regtune.results.loader import Results
from regtune.statistics.racing import Race


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables of one log, and the numbers that they are made from. Each is made when first asked for, and once."""

    analysis: Analysis

    @property
    def results(self) -> Results:
        """The log."""
        return self.analysis.results

    @property
    def rows(self) -> pd.DataFrame:
        """The frame of `comparison`."""
        return self.analysis.rows

    @cached_property
    def aa(self) -> AA | None:
        """What is said of the hidden copy of the baseline, where there is one."""
        return aa(self.results)

    @cached_property
    def unsaid(self) -> list[str]:
        """What cannot be said of the scores."""
        rows = self.rows
        return [*undefined(self.results), *_unsaid(self.results, rows), *resolved_on_this_test_set(rows)]

    @cached_property
    def scores(self) -> Table:
        """Which arm."""
        return Table(
            title="Every arm with its chosen configuration",
            caption=caption(self.results),
            frame=scores_as_text(self.rows),
            sentences=[*self.unsaid, *([self.aa.words] if self.aa else [])],
        )

    @cached_property
    def metrics(self) -> Table:
        """What else was measured."""
        return Table(
            title="Other metrics",
            caption=metrics_caption(self.results, self.rows),
            frame=metrics_as_text(self.rows, self.results.sweep.search.metric),
            sentences=metrics_sentences(self.results, self.rows),
        )

    @cached_property
    def budget(self) -> Table:
        """At what cost."""
        return Table(
            title="Budget and cost",
            caption=budget_caption(self.results),
            frame=budget_as_text(self.rows),
            sentences=self.analysis.warnings,
        )

    @cached_property
    def tuning(self) -> Table | None:
        """With how much search; None where no search trial ended well."""
        return tuning_table(self.results, self.rows)

    @cached_property
    def spread(self) -> Table | None:
        """What a difference varies by; None where no arm shares a seed with the first."""
        return spread_table([self.results], self.rows)

    @property
    def in_order(self) -> list[Table]:
        """The tables in the order in which a reader asks."""
        parts = (self.scores, self.metrics, self.budget, self.tuning, self.spread)
        return [table for table in parts if table is not None]


def tables(results: Results) -> Tables:
    """Return the tables of a log."""
    return Tables(analysis=Analysis(results=results))


def _unsaid(results: Results, rows: pd.DataFrame) -> list[str]:
    race = Race.of(results.sweep.confirm)
    if race is None:
        return cannot_be_said(rows)
    apart = f"the race has not reached its first look with it and {{first}} ({race.looks[0]} seeds each)"
    return [*cannot_be_said(rows, apart=apart), *held_words(results, rows)]
