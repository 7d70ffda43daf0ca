"""The tables of a results folder: those of each log in it, and those over whole searches where a sweep has repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from regtune.analysis.repeat_scores import repeat_scores
from regtune.reports.tables._table import Table
from regtune.reports.tables.catalog import Tables, tables
from regtune.reports.tables.repeats import repeats_sentences, repeats_tables
from regtune.results.loader import Results, has_begun, load
from regtune.storage.layout import repeats_of


@dataclass(frozen=True, kw_only=True)
class FolderTables:
    """The tables of a sweep: of each repeat that has begun, the first in front, and over all of them.

    Each is made when it is first asked for, and once: a command reads a folder into one of these and hands it to
    whatever prints or writes it.
    """

    logs: Sequence[Tables]

    @property
    def first(self) -> Tables:
        """Those of the first repeat; of a sweep without repeats, of its log."""
        return self.logs[0]

    @property
    def repeats(self) -> list[Results]:
        """The logs."""
        return [log.results for log in self.logs]

    @cached_property
    def repeat_scores(self) -> pd.DataFrame | None:
        """One row per arm over whole searches; None for a sweep without repeats."""
        return repeat_scores(self.repeats)

    @cached_property
    def sentences(self) -> list[str]:
        """What must be said of the table over whole searches; none without repeats."""
        rows = self.repeat_scores
        return [] if rows is None else repeats_sentences(self.repeats, rows)

    @cached_property
    def over_repeats(self) -> list[Table]:
        """The tables over whole searches; none without repeats."""
        rows = self.repeat_scores
        return [] if rows is None else repeats_tables(self.repeats, rows, self.sentences)


def folder_tables(repeats: Sequence[Results]) -> FolderTables:
    """Return the tables of a sweep, given as its repeats, the first in front."""
    return FolderTables(logs=[tables(results) for results in repeats])


def read_folder(folder: Path) -> FolderTables:
    """Read each log of a results folder once."""
    return folder_tables(repeats_in(folder))


def repeats_in(folder: Path) -> list[Results]:
    """Return the repeats of a sweep that have begun, the first in front; of one without repeats, it alone."""
    first, *others = repeats_of(folder)
    return [load(path) for path in (first, *(path for path in others if has_begun(path)))]
