"""The tables of a sweep as text: which arm, what else was measured, at what cost, with how much search, what a
difference varies by. Every format prints these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from regtune.analysis.budget import warnings
from regtune.analysis.comparison import comparison
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
    """The tables of a sweep, and the frame of `comparison` that they are made from.

    `tuning` is None where no search trial ended well, `spread` where no arm shares a seed with the first. `unsaid` is
    what cannot be said of the scores, `aa` what is said of the hidden copy of the baseline, where there is one.
    """

    rows: pd.DataFrame
    scores: Table
    metrics: Table
    budget: Table
    tuning: Table | None
    spread: Table | None
    unsaid: Sequence[str]
    aa: AA | None

    @property
    def in_order(self) -> list[Table]:
        """The tables in the order in which a reader asks."""
        parts = (self.scores, self.metrics, self.budget, self.tuning, self.spread)
        return [table for table in parts if table is not None]


def tables(results: Results) -> Tables:
    """Return the tables of a sweep."""
    rows, copy = comparison(results), aa(results)
    cannot = [*undefined(results), *_unsaid(results, rows), *resolved_on_this_test_set(rows)]
    return Tables(
        rows=rows,
        unsaid=cannot,
        aa=copy,
        scores=Table(
            title="Every arm with its chosen configuration",
            caption=caption(results),
            frame=scores_as_text(rows),
            sentences=[*cannot, *([copy.words] if copy else [])],
        ),
        metrics=Table(
            title="Other metrics",
            caption=metrics_caption(results, rows),
            frame=metrics_as_text(rows, results.sweep.search.metric),
            sentences=metrics_sentences(results, rows),
        ),
        budget=Table(
            title="Budget and cost",
            caption=budget_caption(results),
            frame=budget_as_text(rows),
            sentences=warnings(results),
        ),
        tuning=tuning_table(results, rows),
        spread=spread_table([results], rows),
    )


def _unsaid(results: Results, rows: pd.DataFrame) -> list[str]:
    race = Race.of(results.sweep.confirm)
    if race is None:
        return cannot_be_said(rows)
    apart = f"the race has not reached its first look with it and {{first}} ({race.looks[0]} seeds each)"
    return [*cannot_be_said(rows, apart=apart), *held_words(results)]
