"""The figures of a report in the order of its questions; a figure's caption is the docstring of its function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import altair as alt

from regtune.core.metric import ACCURACY
from regtune.core.records import Json
from regtune.reports.figures._drawing import Drawing, Nothing
from regtune.reports.figures.best_so_far import progress
from regtune.reports.figures.effects import effects
from regtune.reports.figures.importance import importance
from regtune.reports.figures.learning_curves import confirmed_curves, searched_curves
from regtune.reports.figures.pairs import pairs
from regtune.reports.figures.rand_augment import magnitudes
from regtune.reports.figures.sensitivity import sensitivity
from regtune.reports.figures.survival import survival
from regtune.reports.figures.tuning_curves import tuning_curves
from regtune.reports.tables.catalog import Tables
from regtune.results.loader import Results

Subject = TypeVar("Subject")


class FigureSpec(NamedTuple, Generic[Subject]):
    """A figure before it is drawn: the section that it belongs to, its title and what draws it."""

    section: str
    title: str
    draw: Callable[[Subject], Drawing | Nothing]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a report: a Vega-Lite specification, or why there is none."""

    section: str
    name: str
    title: str
    caption: str
    spec: Json | None
    why: str = ""


EFFECTS = FigureSpec("sure", "Effect of each arm", effects)  # drawn from the rows of the table
OF_RESULTS = (
    FigureSpec("sure", "Every arm against every other", pairs),
    FigureSpec("cost", "Best so far against epochs spent", progress),
    FigureSpec("cost", "Best of n search trials", tuning_curves),
    FigureSpec("cost", "Trials left after each epoch", survival),
    FigureSpec("why", "Learning curves of the confirmed trials", confirmed_curves),
    FigureSpec("why", "Learning curves of the search", searched_curves),
    FigureSpec("why", "Score against each knob", sensitivity),
    FigureSpec("why", "Importance of the knobs", importance),
    FigureSpec("why", "RandAugment: operations and magnitude", magnitudes),
)
FIGURES = (EFFECTS, *OF_RESULTS)


def drawn(found: Tables) -> list[Figure]:
    """Return all figures of a sweep, in the order of `FIGURES`."""
    return [figure(*EFFECTS, found), *(figure(*spec, found.results) for spec in OF_RESULTS)]


def drawn_one(found: Tables, name: str) -> Figure:
    """Return the figure of this name; raises KeyError where there is none."""
    if name == EFFECTS.draw.__name__:
        return figure(*EFFECTS, found)
    return figure(*{spec.draw.__name__: spec for spec in OF_RESULTS}[name], found.results)


def figure(section: str, title: str, draw: Callable[[Subject], Drawing | Nothing], subject: Subject) -> Figure:
    """Draw one figure of what it is about: a sweep, or several together."""
    chart = draw(subject)
    return Figure(
        section=section,
        name=draw.__name__,
        title=title,
        caption=_by_metric(" ".join((inspect.getdoc(draw) or "").split()), subject),
        spec=None if isinstance(chart, Nothing) else specification(chart),
        why=chart.why if isinstance(chart, Nothing) else "",
    )


def _by_metric(caption: str, subject: object) -> str:
    """Return a caption, which is written for accuracy, in the words of the metrics of a sweep."""
    results = subject.results if isinstance(subject, Tables) else subject
    if not isinstance(results, Results):
        return caption
    search, confirm = results.sweep.search.metric, results.sweep.confirm.metric
    words = {}
    if search != ACCURACY:
        unit = "percent" if search.percent else search.unit
        words["alidation accuracy, in percent,"] = f"alidation {search.words}, in {unit} ({search.better} is better),"
        words["alidation accuracy"] = f"alidation {search.words} ({search.better} is better)"
    if confirm != ACCURACY:
        words["test accuracy, in points"] = f"test {confirm.words}, in {confirm.unit}{confirm.sign}"
    for accuracy, other in words.items():
        caption = caption.replace(accuracy, other)
    return caption


def specification(chart: Drawing) -> Json:
    """Return the chart with its data, without Altair's look: the page or the paper brings its own."""
    with alt.data_transformers.enable("default", max_rows=None):  # charts thin their data themselves
        spec: Json = chart.to_dict()
    del spec["config"]
    return spec
