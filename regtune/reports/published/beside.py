"""The figures of a published table beside those of a sweep: unrounded rows, and the table as a reader wants it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import pandas as pd

from regtune.analysis.repeats import counted_repeats
from regtune.core.metric import ACCURACY
from regtune.core.records import Json
from regtune.reports.published.matching import Match, arm_of
from regtune.reports.published.protocol import protocol_sentences
from regtune.reports.published.reading import Figure, MetricName
from regtune.reports.tables._table import Table
from regtune.reports.tables.folder import FolderTables
from regtune.reports.text import interval, number
from regtune.results.loader import Results
from regtune.statistics import MeanInterval, share_interval


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a published figure measures. `column` is where trials have it, None where they do not.

    `ours` times `factor` is in the unit of publication; an error is what accuracy leaves of 1.
    """

    head: str
    column: str | None = None
    factor: float = 100
    form: str = ".2f"
    is_error: bool = False


MEASURES: Mapping[MetricName, Measure] = {
    "test_error": Measure(head="test error %", column="test_accuracy", is_error=True),
    "test_accuracy": Measure(head="test accuracy %", column="test_accuracy"),
    "train_accuracy": Measure(head="train accuracy %", column="train_accuracy"),
    "test_ece": Measure(head="test ECE", column="test_ece", factor=1, form=".3f"),
    "steps_to_fit": Measure(head="steps to fit"),
    "parameters": Measure(head="parameters"),
    "features": Measure(head="features"),
    "localization": Measure(head="localization accuracy %"),
    "detection": Measure(head="detection mAP"),
}


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A published table beside a sweep."""

    match: Match
    sweep: FolderTables

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One row per figure that an arm has, in the order of the arms, in the unit of publication.

        `to_first` is what an arm differs from the sweep's first by: ours with its interval, and published. NaN is what
        a trial does not measure, or what was not published.
        """
        of = self.match.results
        figures = [(arm, each) for each in self.match.part.figures if (arm := arm_of(each, of)) is not None]
        order = list(of.sweep.arms)
        return pd.DataFrame(
            [self._row(arm, each) for arm, each in sorted(figures, key=lambda pair: order.index(pair[0]))]
        )

    def _row(self, arm: str, figure: Figure) -> dict[str, Any]:
        measure = MEASURES[figure.metric]
        ours, published = self._ours(arm, measure), float(figure.value)
        return {
            "table": self.match.table.name,
            "arm": arm,
            "label": figure.label,
            "metric": figure.metric,
            "n": ours.n,
            "ours": ours.mean,
            "ours_sd": ours.sd,
            "ours_low": ours.low,
            "ours_high": ours.high,
            "published": published,
            "published_spread": math.nan if figure.spread is None else float(figure.spread),
            "difference": ours.mean - published,
            **self._to_first(arm, measure),
            "published_to_first": self._published_to_first(arm, figure),
            "source": self.match.table.cited,
        }

    def _ours(self, arm: str, measure: Measure) -> MeanInterval:
        """Return our mean in the unit of publication: over seeds, or over the searches of a sweep with repeats."""
        if measure.column is None:
            return MeanInterval(n=0, mean=math.nan, sd=math.nan, low=math.nan, high=math.nan)
        found = share_interval(values(self.sweep, arm, measure.column))
        ends = (found.high, found.low) if measure.is_error else (found.low, found.high)
        mean, low, high = (measure.factor * (1 - x if measure.is_error else x) for x in (found.mean, *ends))
        return MeanInterval(n=found.n, mean=mean, sd=measure.factor * found.sd, low=low, high=high)

    def _to_first(self, arm: str, measure: Measure) -> dict[str, float]:
        """Return our difference to the first arm, paired, with its simultaneous interval: that of the sweep itself."""
        names = ("ours_to_first", "ours_to_first_low", "ours_to_first_high")
        own = self.match.results.sweep.confirm.metric == ACCURACY and measure.column == ACCURACY.test
        whole = self.sweep.repeat_scores
        rows = self.sweep.first.rows if whole is None else whole
        row = rows[rows["arm"] == arm].iloc[0]
        if not own:
            return dict.fromkeys(names, math.nan)
        ends = [float(row[name]) for name in ("difference", "difference_low", "difference_high")]
        if measure.is_error:
            ends = [-ends[0], -ends[2], -ends[1]]
        return {name: measure.factor * end for name, end in zip(names, ends, strict=True)}

    def _published_to_first(self, arm: str, figure: Figure) -> float:
        first = self.match.results.sweep.baseline
        if arm == first:
            return math.nan
        same = (each for each in self.match.part.figures if each.metric == figure.metric)
        return next(
            (float(figure.value - each.value) for each in same if arm_of(each, self.match.results) == first), math.nan
        )

    @cached_property
    def without_arm(self) -> list[str]:
        """The published figures that no arm of the sweep has, in words."""
        left = [each for each in self.match.part.figures if arm_of(each, self.match.results) is None]
        return [f"{each.label} {published_cell(each)} ({MEASURES[each.metric].head})" for each in left]

    @property
    def without_figure(self) -> list[str]:
        """The arms of the sweep that have no published figure."""
        return [arm for arm in self.match.results.sweep.arms if arm not in self.match.arms]

    @cached_property
    def protocol(self) -> list[str]:
        """How the protocols differ, a sentence each."""
        return protocol_sentences(self.match, self.sweep)

    @property
    def table(self) -> Table:
        """The table with its words."""
        found, part = self.match.table, self.match.part
        return Table(
            title=found.title,
            caption=(
                f"How far {self.match.results.sweep.name} comes out as published. {found.title}: {part.network} on "
                f"{part.data}{_corrupted(self.match)}. Published: {found.cited} (read in {found.read_in}). "
                f"{self._ours_words()} "
                f"Difference: ours minus published; the interval of ours is the only one that there is."
                f"{self._first_words()}"
            ),
            frame=self._text(),
            sentences=self._sentences(),
        )

    def _ours_words(self) -> str:
        over = "searches, each a mean over its seeds" if self.sweep.repeat_scores is not None else "confirmed seeds"
        return f"Ours: the mean over n {over}, with its 95 % interval (t on the logit scale)."

    def _first_words(self) -> str:
        if self.rows["ours_to_first"].isna().all():
            return ""
        first = self.match.results.sweep.baseline
        return f" To {first}: the difference to that arm, ours with simultaneous 95 % intervals, and published."

    def _text(self) -> pd.DataFrame:
        rows, first = self.rows, self.match.results.sweep.baseline
        cited = {
            (each.metric, arm_of(each, self.match.results)): published_cell(each) for each in self.match.part.figures
        }
        lines = [(row, MEASURES[row["metric"]]) for row in rows.to_dict("records")]
        columns = {
            "arm": rows["arm"],
            "metric": [measure.head for _, measure in lines],
            "ours": [_interval(row, "ours", measure) for row, measure in lines],
            "published": [cited[row["metric"], row["arm"]] for row, _ in lines],
            "difference": [number(row["difference"], f"+{measure.form}") for row, measure in lines],
            "n": rows["n"],
            f"ours to {first}": [_interval(row, "ours_to_first", measure, sign="+") for row, measure in lines],
            f"published to {first}": [number(row["published_to_first"], f"+{measure.form}") for row, measure in lines],
            "published as": rows["label"],
        }
        text = pd.DataFrame(columns)
        return text.drop(
            columns=[name for name in text if str(name).endswith(f" to {first}") and (text[name] == "–").all()]
        )

    def _sentences(self) -> list[str]:
        unmeasured = dict.fromkeys(MEASURES[name].head for name in self.rows["metric"] if not MEASURES[name].column)
        others = [
            f"{part.network} on {part.data}{'' if part.corruption in ('none', 'any') else f', {part.corruption}'}"
            for part in self.match.table.parts
            if part is not self.match.part
        ]
        said = {
            "Published, and no arm of this sweep: {}.": self.without_arm,
            "Arms without a published figure: {}.": self.without_figure,
            "Not measured by the trials of a sweep: {}.": list(unmeasured),
            f"Further parts of {self.match.table.name}, not shown: {{}}.": list(dict.fromkeys(others)),
        }
        left_out = counted_repeats(self.sweep.repeats).left_out if len(self.sweep.logs) > 1 else []
        return [*left_out, *self.protocol, *(text.format("; ".join(names)) for text, names in said.items() if names)]

    def plain(self) -> Json:
        """Return the rows and what is said of them, fit for strict JSON: None for what cannot be said."""
        table, part = self.match.table, self.match.part
        rows = self.rows.astype(object).where(self.rows.notna(), None)
        return {
            **{name: getattr(table, name) for name in ("name", "title", "source", "table", "read_in")},
            "protocol": part.model_dump(mode="json", exclude={"figures", "notes"}),
            "caption": self.table.caption,
            "figures": [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")],
            "differences_of_protocol": self.protocol,
            "without_arm": self.without_arm,
            "without_figure": self.without_figure,
        }


def values(sweep: FolderTables, arm: str, column: str) -> list[float]:
    """Return what the confirmed trials of an arm measured; of a sweep with repeats the mean of each that counts."""
    if len(sweep.logs) == 1:
        return _confirmed(sweep.first.results, arm, column)
    counted = [_confirmed(results, arm, column) for results in counted_repeats(sweep.repeats).counted]
    return [fmean(mine) for mine in counted if mine]


def _confirmed(results: Results, arm: str, column: str) -> list[float]:
    mine = results.confirmed[results.confirmed["arm"] == arm]
    return [float(value) for value in mine[column].dropna()]


def published_cell(figure: Figure) -> str:
    """Return a figure as it was published."""
    return str(figure.value) if figure.spread is None else f"{figure.value} ± {figure.spread}"


def _interval(row: Mapping[Any, Any], name: str, measure: Measure, sign: str = "") -> str:
    ends = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return interval(*ends, form=measure.form, sign=sign, factor=1)


def _corrupted(match: Match) -> str:
    return "" if match.part.corruption in ("none", "any") else f", {match.part.corruption}"
