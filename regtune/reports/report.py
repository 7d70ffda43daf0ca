"""The report: one HTML file that needs nothing else, and every figure as SVG and PDF in a folder beside it."""

from __future__ import annotations

import json
from pathlib import Path

import altair as alt
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from regtune.records import Plain
from regtune.reports import style
from regtune.reports.drawing import BLUE, SKY
from regtune.reports.figures import Figure, drawn
from regtune.reports.sections import sections
from regtune.store import Results

EXPORTED = "window.vegaEmbed = vegaEmbed;"
STATIC = Path(__file__).parent / "static"
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])  # the one that altair writes


def write_report(results: Results, to: Path) -> list[Path]:
    """Write the page to `to` and the figures beside it; return what was written, the page first."""
    figures = drawn(results)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(page(results, figures), encoding="utf-8")
    folder = to.with_name(f"{to.stem}-figures")
    folder.mkdir(exist_ok=True)
    for old in [*folder.glob("*.svg"), *folder.glob("*.pdf")]:  # a figure of before that is no longer drawn
        old.unlink()
    written = [to]
    for figure in figures:
        if figure.spec is not None:
            written += _on_paper(figure.spec, folder / figure.name)
    return written


def page(results: Results, figures: list[Figure]) -> str:
    """Return the HTML of a report."""
    environment = Environment(loader=FileSystemLoader(STATIC), autoescape=True, undefined=StrictUndefined)
    charts = {figure.name: figure.spec for figure in figures if figure.spec is not None}
    data = {"charts": charts, "light": style.light(), "dark": style.dark(), "blue": {"light": BLUE, "dark": SKY}}
    return environment.get_template("report.html").render(
        name=results.sweep["name"],
        sections=sections(results, figures),
        facts=_facts(results),
        made=_made(results.header),
        css=(STATIC / "style.css").read_text(encoding="utf-8"),
        js=(STATIC / "charts.js").read_text(encoding="utf-8"),
        # In a script element only "<" could end the data.
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
        libraries=vl_convert.javascript_bundle(EXPORTED, vl_version=VEGA_LITE),
    )


def _on_paper(spec: Plain, path: Path) -> list[Path]:
    svg, pdf = path.with_suffix(".svg"), path.with_suffix(".pdf")
    text = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, config=style.paper())
    svg.write_text(text, encoding="utf-8")
    pdf.write_bytes(vl_convert.svg_to_pdf(text))
    return [svg, pdf]


def _facts(results: Results) -> str:
    sweep, trials = results.sweep, results.trials
    ended = int((~trials["status"].isin(["missing", "running", "interrupted"])).sum())
    arms = "1 arm" if len(sweep["arms"]) == 1 else f"{len(sweep['arms'])} arms"
    return f"{arms}, {ended} of {len(trials)} planned trials ended, {int(trials['epochs'].sum()):,} epochs trained."


def _made(header: Plain) -> str:
    """Say what the sweep ran on, as far as the log's header knows."""
    machine = header.get("machine", {})
    words = [f"regtune {header['regtune']}" if "regtune" in header else "regtune", header.get("commit")]
    words += [f"{name} {version}" for name, version in header.get("packages", {}).items()]
    words += [str(machine[key]) for key in ("processor", "gpus") if machine.get(key)]
    return f"Made from the log of {', '.join(str(word) for word in words if word)}. Charts: Vega-Lite, in this file."
