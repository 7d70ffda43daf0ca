"""Studies as text and as one HTML page, in the order of the lecture."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from regtune.reports.figures.catalog import Figure, specification
from regtune.reports.page.report import CHARTS, rendered, write_page
from regtune.reports.page.sections import Section
from regtune.reports.tables._table import Table
from regtune.studies._base import Findings, Study


def claim(study: Study) -> str:
    """Return what a study says of itself, as one paragraph."""
    return " ".join((inspect.getdoc(type(study)) or "").split())


def comparisons(found: Findings) -> Table:
    """Return theory beside measurement: the largest error of each comparison and what it may be."""
    rows = [
        {
            "compared": one.what,
            "holds": "yes" if one.holds else "NO",
            "largest error": f"{one.error:.2g}{' (relative)' if one.relative else ''}",
            "expected": f"{'more than' if one.fails else 'at most'} {one.tolerance:.2g}",
        }
        for one in found.comparisons
    ]
    return Table(title="Theory beside measurement", caption="", frame=pd.DataFrame(rows))


def text_of(name: str, study: Study, found: Findings) -> str:
    """Return a study as text: what it claims, theory beside measurement, what came out."""
    tables = [table.frame for table in (comparisons(found), *found.tables)]
    parts = [f"## {name}: {study.title}", claim(study), *found.sentences]
    parts += [frame.to_markdown(index=False, disable_numparse=True) for frame in tables]
    return "\n\n".join(parts) + "\n\n"


def write_companion(found: Mapping[str, tuple[Study, Findings]], to: Path) -> list[Path]:
    """Write the studies, by name, as one page and their charts beside it; return what was written."""
    sections, figures = [], []
    for name, (study, findings) in sorted(found.items(), key=lambda each: each[1][0].place):
        mine = [
            Figure(
                section=name,
                name=f"{name}-{number}",
                title=one.title,
                caption=one.caption,
                spec=specification(one.chart),
            )
            for number, one in enumerate(findings.charts, start=1)
        ]
        figures += mine
        sections.append(
            Section(
                id=name,
                title=study.title,
                sentences=[claim(study), *findings.sentences],
                tables=[comparisons(findings), *findings.tables],
                figures=mine,
            )
        )
    counted = "1 study" if len(found) == 1 else f"{len(found)} studies"
    text = rendered(
        name="Regularization",
        question=": the theory beside what was measured",
        facts=f"{counted}, in the order of the lecture. {time.strftime('%Y-%m-%d')}.",
        sections=sections,
        chapters=(),
        figures=figures,
        made=CHARTS,
    )
    return write_page(text, figures, to)
