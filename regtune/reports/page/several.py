"""The report on several sweeps: one page, first what they say together, then a chapter for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from regtune.analysis.labels import slugs
from regtune.analysis.sweeps import Together, together
from regtune.reports.figures.catalog import Figure, figure
from regtune.reports.figures.critical_difference import critical
from regtune.reports.page.report import CHARTS, made, progress, rendered, write_page
from regtune.reports.page.sections import Chapter, Section, chapter
from regtune.reports.tables.sweeps import together_table
from regtune.results.loader import Results


def write_volume(sweeps: Sequence[Sequence[Results]], to: Path) -> list[Path]:
    """Write the page to `to` and all figures beside it; return what was written, the page first.

    Each sweep is given as its repeats, the first in front.
    """
    text, figures = volume(sweeps)
    return write_page(text, figures, to)


def volume(sweeps: Sequence[Sequence[Results]]) -> tuple[str, list[Figure]]:
    """Return the HTML of a report on several sweeps, and its figures."""
    found = together([repeats[0] for repeats in sweeps])
    chapters = _chapters(found, sweeps)
    drawing = figure("together", "Mean ranks over the sweeps", critical, found)
    figures = [replace(drawing, name=f"together-{drawing.name}"), *(each for one in chapters for each in one.figures)]
    text = rendered(
        name=f"{len(sweeps)} sweeps",
        facts=progress(found.sweeps),
        sections=[_together(found, figures[0])],
        chapters=chapters,
        figures=figures,
        made=CHARTS,
    )
    return text, figures


def _chapters(found: Together, sweeps: Sequence[Sequence[Results]]) -> list[Chapter]:
    names = [str(label) for label in found.scores.index]
    return [
        chapter(repeats, title=name, slug=slug, facts=f"{progress(repeats[:1])} {made(repeats[0].header)}")
        for repeats, name, slug in zip(sweeps, names, slugs(["together", *names])[1:], strict=True)
    ]


def _together(found: Together, drawing: Figure) -> Section:
    table = together_table(found)
    return Section(id="together", title="Together", sentences=table.sentences, tables=[table], figures=[drawing])
