"""The report on several sweeps: one page, first what they say together, then a chapter for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from regtune.analysis.labels import slugs
from regtune.analysis.sweeps import SweepsTogether, compare_sweeps
from regtune.reports.figures.catalog import Figure, figure
from regtune.reports.figures.critical_difference import critical
from regtune.reports.page.report import CHARTS, progress, provenance, rendered, write_page
from regtune.reports.page.sections import Chapter, Section, chapter
from regtune.reports.tables.folder import FolderTables
from regtune.reports.tables.sweeps import sweeps_table


def write_several(sweeps: Sequence[FolderTables], to: Path) -> list[Path]:
    """Write the page to `to` and all figures beside it; return what was written, the page first."""
    text, figures = page_of_several(sweeps)
    return write_page(text, figures, to)


def page_of_several(sweeps: Sequence[FolderTables]) -> tuple[str, list[Figure]]:
    """Return the HTML of a report on several sweeps, and its figures."""
    found = compare_sweeps([sweep.first.analysis for sweep in sweeps])
    chapters = _chapters(found, sweeps)
    drawing = figure("together", "Mean ranks over the sweeps", critical, found)
    figures = [replace(drawing, name=f"together-{drawing.name}"), *(each for one in chapters for each in one.figures)]
    text = rendered(
        name=f"{len(sweeps)} sweeps",
        facts=progress([results for sweep in sweeps for results in sweep.repeats]),
        sections=[_together(found, figures[0])],
        chapters=chapters,
        figures=figures,
        made=CHARTS,
    )
    return text, figures


def _chapters(found: SweepsTogether, sweeps: Sequence[FolderTables]) -> list[Chapter]:
    names = [str(label) for label in found.scores.index]
    return [
        chapter(sweep, title=name, slug=slug, facts=_facts(sweep))
        for sweep, name, slug in zip(sweeps, names, slugs(["together", *names])[1:], strict=True)
    ]


def _facts(sweep: FolderTables) -> str:
    return f"{progress(sweep.repeats)} {provenance(sweep.first.results.header)}"


def _together(found: SweepsTogether, drawing: Figure) -> Section:
    table = sweeps_table(found)
    return Section(id="together", title="Together", sentences=table.sentences, tables=[table], figures=[drawing])
