"""The sections of a report, in the order in which a reader asks; pages and tests read them, none of them is HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from regtune.analysis.failures import failures, failures_words
from regtune.reports.figures.catalog import Figure, drawn
from regtune.reports.published.output import beside_each
from regtune.reports.tables._table import Table
from regtune.reports.tables.answer import answer
from regtune.reports.tables.folder import FolderTables
from regtune.reports.tables.pruning import pruning_table


@dataclass(frozen=True, kw_only=True)
class Section:
    """A question: its answer in sentences, tables with their notes, figures."""

    id: str
    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


def sections(sweep: FolderTables, figures: Sequence[Figure]) -> list[Section]:
    """Return the sections of a sweep.

    Five are of its first repeat, one is over all where there are several, one has the published tables that match.
    """
    found, results, searches = sweep.first, sweep.first.results, sweep.over_repeats
    bad, pruned = failures(results), pruning_table(results)
    whole = Section(
        id="searches", title="Does it hold over repeated searches?", sentences=searches[0].sentences, tables=searches
    ) if searches else None  # fmt: skip
    beside = [_published(each.table) for each in beside_each(sweep)]
    cost = [table for table in (found.budget, found.tuning, pruned) if table is not None]
    of = {key: [figure for figure in figures if figure.section == key] for key in ("sure", "cost", "why")}
    return [
        Section(id="which", title="Which arm?", sentences=answer(found.rows), tables=[found.scores]),
        Section(
            id="sure", title="How sure is that?", sentences=found.scores.sentences, figures=of["sure"],
            tables=[found.spread] if found.spread else [],
        ),
        *([whole] if whole else []),
        *([Section(id="published", title="Published", tables=beside)] if beside else []),
        Section(
            id="cost", title="At what cost?", sentences=found.budget.sentences, tables=cost, figures=of["cost"],
        ),
        Section(
            id="why", title="Why?", sentences=found.metrics.sentences, tables=[found.metrics], figures=of["why"],
        ),
        Section(
            id="failed", title="What failed?", sentences=[failures_words(results)],
            tables=[Table(title="Trials that failed", caption="", frame=bad)] if len(bad) else [],
        ),
    ]  # fmt: skip


def _published(table: Table) -> Table:
    """Return a table with its sentences, which say how the protocols differ, in its caption: there may be several."""
    return replace(table, caption=" ".join([table.caption, *table.sentences]))


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """The sections of one sweep, and all their figures."""

    id: str
    title: str
    facts: str
    sections: Sequence[Section]
    figures: Sequence[Figure]


def chapter(sweep: FolderTables, *, title: str, slug: str, facts: str) -> Chapter:
    """Return the sections of a sweep.

    `slug` begins the names of its figures, which become files, and its anchors.
    """
    figures = [replace(figure, name=f"{slug}-{figure.name}") for figure in drawn(sweep.first)]
    anchor = f"sweep-{slug}"
    named = [replace(section, id=f"{anchor}-{section.id}") for section in sections(sweep, figures)]
    return Chapter(id=anchor, title=title, facts=facts, sections=named, figures=figures)
