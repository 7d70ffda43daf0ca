"""The report: one HTML file that needs nothing else, and every figure as SVG and PDF in a folder beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from regtune.core.records import OPEN, Json
from regtune.core.writing import write
from regtune.reports.figures import _drawing
from regtune.reports.figures._drawing import BLUE, SKY
from regtune.reports.figures.catalog import Figure, drawn
from regtune.reports.page.sections import Chapter, Section, sections
from regtune.reports.tables.folder import FolderTables
from regtune.results.loader import Results

CHARTS = "Charts: Vega-Lite, in this file."
EXPORTED = "window.vegaEmbed = vegaEmbed;"
STATIC = Path(__file__).parent / "static"
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])  # the one that altair writes


def write_report(sweep: FolderTables, to: Path) -> list[Path]:
    """Write the page of a sweep to `to` and the figures beside it; return what was written, the page first.

    Of a sweep with repeats it shows the first, and the table over whole searches; the trials of all are counted.
    """
    figures = drawn(sweep.first)
    return write_page(page(sweep, figures), figures, to)


def page(sweep: FolderTables, figures: Sequence[Figure]) -> str:
    """Return the HTML of a report on one sweep."""
    results = sweep.first.results
    return rendered(
        name=results.sweep.name,
        facts=f"{_arms(results)}, {progress(sweep.repeats)}",
        sections=sections(sweep, figures),
        chapters=(),
        figures=figures,
        made=f"{provenance(results.header)} {CHARTS}",
    )


def rendered(
    *,
    name: str,
    facts: str,
    sections: Sequence[Section],
    chapters: Sequence[Chapter],
    figures: Sequence[Figure],
    made: str,
    question: str = ": which regularizer is worth it?",
) -> str:
    """Return the HTML of sections and, behind them, chapters; `figures` are all that they name.

    The heading is the name and the `question`.
    """
    environment = Environment(loader=FileSystemLoader(STATIC), autoescape=True, undefined=StrictUndefined)
    charts = {figure.name: figure.spec for figure in figures if figure.spec is not None}
    data = {"charts": charts, **looks()}
    return environment.get_template("report.html").render(
        name=name,
        question=question,
        facts=facts,
        sections=sections,
        chapters=chapters,
        made=made,
        css=(STATIC / "style.css").read_text(encoding="utf-8"),
        js=fitting() + (STATIC / "charts.js").read_text(encoding="utf-8"),
        # In a script element only "<" could end the data.
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        libraries=vl_convert.javascript_bundle(EXPORTED, vl_version=VEGA_LITE),
    )


def looks() -> Json:
    """Return how charts look on a light and on a dark page, and the blue that another stands for on a dark one."""
    return {"light": _drawing.light(), "dark": _drawing.dark(), "blue": {"light": BLUE, "dark": SKY}}


def fitting() -> str:
    """Return the script that fits a chart to its box and to the colours of the page."""
    return (STATIC / "fitting.js").read_text(encoding="utf-8")


def write_page(text: str, figures: Sequence[Figure], to: Path) -> list[Path]:
    """Write a page and its figures in a folder beside it; return what was written, the page first."""
    to.parent.mkdir(parents=True, exist_ok=True)
    write(to, text)
    folder = to.with_name(f"{to.stem}-figures")
    folder.mkdir(exist_ok=True)
    for old in [*folder.glob("*.svg"), *folder.glob("*.pdf")]:  # a figure of before that is no longer drawn
        old.unlink()
    written = [to]
    for figure in figures:
        if figure.spec is not None:
            written += _on_paper(figure.spec, folder / figure.name)
    return written


def progress(sweeps: Sequence[Results]) -> str:
    """Say how far sweeps are."""
    trials = pd.concat([results.trials[["status", "epochs"]] for results in sweeps])
    ended = int((~trials["status"].isin(OPEN)).sum())
    return f"{ended} of {len(trials)} planned trials ended, {int(trials['epochs'].sum()):,} epochs trained."


def provenance(header: Json) -> str:
    """Say what the sweep ran on, as far as the log's header knows."""
    machine = header.get("machine", {})
    words = [f"regtune {header['regtune']}" if "regtune" in header else "regtune", header.get("commit")]
    words += [f"{name} {version}" for name, version in header.get("packages", {}).items()]
    words += [str(machine[key]) for key in ("processor", "gpus") if machine.get(key)]
    return f"Made from the log of {', '.join(str(word) for word in words if word)}."


def _arms(results: Results) -> str:
    count = len(results.sweep.arms)
    return "1 arm" if count == 1 else f"{count} arms"


def _on_paper(spec: Json, path: Path) -> list[Path]:
    # A name may hold a dot, and what is behind it is no suffix.
    svg, pdf = path.with_name(f"{path.name}.svg"), path.with_name(f"{path.name}.pdf")
    text = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, config=_drawing.paper())
    write(svg, text)
    write(pdf, vl_convert.svg_to_pdf(text))
    return [svg, pdf]
