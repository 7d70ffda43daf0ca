"""The results of a sweep as a notebook wants them: tables, verdicts, figures, the report, networks."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from regtune.core.errors import Refused, nearest
from regtune.results import loader

if TYPE_CHECKING:
    import pandas as pd

    from regtune.api.best import Best
    from regtune.api.plots import Plots
    from regtune.reports.tables._table import Table
    from regtune.reports.tables.folder import FolderTables

SWEEP_FILE = "sweep.toml"  # of a comparison, beside its log


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Results(loader.Results):
    """A log as frames, and what is made of them.

    `print(results)` has the answer, `table` its numbers, `plot` the figures. Of a sweep with repeats the frames are
    of the first; tables, verdicts and the report are over all of them.

    `trials` has one row per planned trial key: arm, phase, number, status (ok, pruned, diverged, failed, lost,
    running, interrupted, missing, or unneeded: a race was decided before, or off is as good), id, seed, params (knob
    values by path), epochs and seconds spent, kept, message, faults of machines on the way, `reused_from`, the folder
    and trial key of another log that it was reused from, `spared`, the epoch after which a trial of the control share
    would have been stopped, the metrics of `Outcome`, and `gap`, train minus test accuracy at the kept epoch. `epochs`
    has one row per epoch: arm, phase, number and the fields of `Epoch`, whose own number is called `epoch`;
    `superseded` has those of trials that no longer count. `header` is the newest of the log, `sweep` the sweep that it
    records, `chosen` the knobs that confirm takes, `notes` are sentences on how the sweep went, and `limit` says which
    limit ended search in the newest run, if any. `path` is the folder. The other fields are what tables are made from.
    """

    @overload
    def table(self, form: None = None) -> pd.DataFrame: ...

    @overload
    def table(self, form: Literal["md", "csv", "latex", "html", "json"]) -> str: ...

    def table(self, form: str | None = None) -> pd.DataFrame | str:
        """Return one row per arm with unrounded numbers; with a format (md, csv, latex, html, json) all tables as text.

        With repeats the rows are over whole searches. Raises Refused for an unknown format.
        """
        if form is None:
            rows = self._rows
            return rows.copy()
        from regtune.reports.formats import FORMATS
        from regtune.reports.output import tables_as_text

        if form not in FORMATS:
            raise Refused(f"table: unknown format {form!r}{nearest(form, FORMATS)}")
        return tables_as_text([self._folder], form)

    @property
    def tables(self) -> Mapping[str, Table]:
        """The tables as text with their captions: scores, metrics, budget, tuning, spread; those that there are."""
        found = self._folder.first
        parts = {name: getattr(found, name) for name in ("scores", "metrics", "budget", "tuning", "spread")}
        return {name: table for name, table in parts.items() if table is not None}

    def verdicts(self) -> dict[str, str]:
        """Return what is said of each arm beside the first: better, worse, unresolved, off is as good, or nothing."""
        rows = self._rows.iloc[1:]
        return dict(zip(rows["arm"], rows["verdict"], strict=True))

    @property
    def plot(self) -> Plots:
        """The figures: `plot.effects()` or `plot("effects")`, and so on."""
        from regtune.api.plots import Plots

        return Plots(self._folder.first)

    def report(self, to: str | Path | None = None) -> Path:
        """Write the report, one HTML file, and its figures in a folder beside it; by default into the folder."""
        from regtune.reports.page.report import write_report

        return write_report(self._folder, self.path / "report.html" if to is None else Path(to))[0]

    def best(self, arm: str) -> Best:
        """Return the best confirmed trial of an arm by the metric of search, on validation examples.

        Raises Refused, with the nearest name, for an arm that is not there, and for one without such a trial.
        """
        from regtune.api.best import Best

        return Best.of(self, arm)

    def to_toml(self, to: str | Path | None = None) -> str:
        """Return the sweep file of a comparison, which `regtune run` runs; with a path it is written there too.

        It names the user's modules, so it belongs beside them. Raises Refused for results of another sweep file, and
        where the network is an object that no file can name.
        """
        from regtune.api.sweep_files import sweep_file

        text = sweep_file(self)
        if to is not None:
            from regtune.core.writing import write

            write(Path(to), text)
        return text

    def __str__(self) -> str:
        """Return the answer: verdicts in words, and one table that fits the terminal."""
        from regtune.reports.brief import brief_of

        return brief_of([self._folder], [self.path], shutil.get_terminal_size().columns)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: verdicts in words, one table, and what must be said of it when it is asked."""
        from regtune.reports.brief import parts

        return parts([self._folder])[0].html()

    def __repr__(self) -> str:
        """Return which results these are, in one line."""
        return f"<results of {self.sweep.name} in {self.path}: {len(self.sweep.arms)} arms, {self._progress}>"

    @property
    def _progress(self) -> str:
        from regtune.core.records import OPEN

        ended = int((~self.trials["status"].isin(OPEN)).sum())
        return f"{ended} of {len(self.trials)} planned trials ended"

    @cached_property
    def _folder(self) -> FolderTables:
        """The tables of this log and, with repeats, of theirs; each is made once."""
        from regtune.reports.tables.folder import folder_tables
        from regtune.storage.layout import repeats_of

        _, *others = repeats_of(self.path)
        return folder_tables([self, *(loader.load(path) for path in others if loader.has_begun(path))])

    @property
    def _rows(self) -> pd.DataFrame:
        whole = self._folder.repeat_scores
        return self._folder.first.rows if whole is None else whole


def load(path: str | Path) -> Results:
    """Load the results of a sweep from its folder or its log; raises Refused where there is none."""
    found = loader.load(path)
    return Results(**{field.name: getattr(found, field.name) for field in dataclasses.fields(found)})
