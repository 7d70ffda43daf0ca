"""The sections of a report, in the order in which a reader asks; pages and tests read them, none of them is HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from regtune.records import OPEN
from regtune.reports.failures import failures
from regtune.reports.family_words import families_answer
from regtune.reports.figures import Figure
from regtune.reports.pruned import pruning_table
from regtune.reports.searches_caption import searches_tables
from regtune.reports.table import Table
from regtune.reports.tables import tables
from regtune.store import Results


@dataclass(frozen=True, kw_only=True)
class Section:
    """A question: its answer in sentences, tables with their notes, figures."""

    id: str
    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


def sections(repeats: Sequence[Results], figures: Sequence[Figure]) -> list[Section]:
    """Return the five sections of a sweep, given as its repeats; they are of the first, one more is over all."""
    results = repeats[0]
    found, bad, pruned = tables(results), failures(results), pruning_table(results)
    searches = searches_tables(repeats)
    whole = Section(
        id="searches", title="Does it hold for whole searches?", sentences=searches[0].sentences, tables=searches
    ) if searches else None  # fmt: skip
    cost = [table for table in (found.budget, found.tuning, pruned) if table is not None]
    of = {key: [figure for figure in figures if figure.section == key] for key in ("sure", "cost", "why")}
    return [
        Section(id="which", title="Which arm?", sentences=answer(found.rows), tables=[found.scores]),
        Section(
            id="sure", title="How sure is that?", sentences=found.scores.sentences, figures=of["sure"],
            tables=[found.spread] if found.spread else [],
        ),
        *([whole] if whole else []),
        Section(
            id="cost", title="At what cost?", sentences=found.budget.sentences, tables=cost, figures=of["cost"],
        ),
        Section(
            id="why", title="Why?", sentences=found.metrics.sentences, tables=[found.metrics], figures=of["why"],
        ),
        Section(
            id="failed", title="What failed?", sentences=[_failures(results, len(bad))],
            tables=[Table(title="Trials that failed", caption="", frame=bad)] if len(bad) else [],
        ),
    ]  # fmt: skip


def answer(table: pd.DataFrame) -> list[str]:
    """Return the verdicts as sentences; the frame is that of `comparison`."""
    first = table["arm"].iloc[0]
    named = {verdict: table[table["verdict"] == verdict]["arm"].to_list() for verdict in ("better", "worse")}
    silent = table.iloc[1:][table.iloc[1:]["verdict"].isin(["unresolved", ""])]["arm"].to_list()
    sentences = [
        f"Better than {first}: {', '.join(named['better']) or 'none'}.",
        f"Worse: {', '.join(named['worse']) or 'none'}.",
        f"Unresolved, which is not the same as equal: {', '.join(silent) or 'none'}.",
        *families_answer(table),
    ]
    return sentences if len(table) > 1 else [f"{first} is the only arm: there is nothing to compare it with."]


def _failures(results: Results, bad: int) -> str:
    unfinished = int(results.trials["status"].isin(OPEN).sum())
    rest = f" {unfinished} more have not ended yet." if unfinished else ""
    return f"{bad or 'None'} of {len(results.trials)} planned trials failed, diverged or were lost.{rest}"
