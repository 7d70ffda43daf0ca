"""Your own table: a .csv, .parquet or .arff file of rows with a column of classes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from regtune.core.errors import Refused, shown
from regtune.core.knobs import knob
from regtune.data._frames import pool_of_frame
from regtune.data._location import DataLocation
from regtune.data._splits import Pool
from regtune.data._tabular import Tabular

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Table(Tabular):
    """Rows of numbers and categories, of which the column `target` is told.

    Missing numbers become the median of the training rows, and a feature says which they are; missing categories are
    a category of their own. Numbers are scaled as `scaling` says. All that is fitted is of training rows alone.
    Dates and free text are refused by name.

    `path` is a .csv, a .parquet or an .arff file below the data folder. Source: none, made for regtune.
    """

    target: str = knob(default="", meaning="the column of the classes")
    categories: tuple[str, ...] = knob(default=(), meaning="columns of numbers, or of text, that are categories")
    drop: tuple[str, ...] = knob(default=(), meaning="columns that are left out")

    def pool(self, place: DataLocation) -> Pool:
        """Return all rows; raises Refused for files and columns of other kinds, with the way out."""
        file = place.below(self.path, self.where)
        where = f"{self.where}: {file}"
        if not self.target:
            raise Refused(f"{self.where}: expected target, the name of the column of classes, given none")
        frame = _read(file, where)
        return pool_of_frame(frame, target=self.target, categories=self.categories, drop=self.drop, where=where)


def _read(file: Path, where: str) -> pd.DataFrame:
    """Return what a file holds, by its ending; raises Refused where it cannot be read."""
    import pandas as pd

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": _csv, ".parquet": pd.read_parquet, ".arff": _arff}
    reader = readers.get(file.suffix.lower())
    if reader is None or not file.is_file():
        raise Refused(f"{where}: expected a file that ends with {', '.join(readers)}, given {shown(file.name)}")
    try:
        frame = reader(file)
    except (ValueError, OSError, NotImplementedError, StopIteration, csv.Error) as error:  # pandas' own are such
        said = " ".join(str(error).split())[:200]
        raise Refused(f"{where}: expected a table that can be read, given {type(error).__name__}: {said}") from error
    if not len(frame):
        raise Refused(f"{where}: expected rows, given none")
    return frame


def _csv(file: Path) -> pd.DataFrame:
    import pandas as pd

    frame: pd.DataFrame = pd.read_csv(file, sep=None, engine="python", encoding="utf-8-sig")
    return frame


def _arff(file: Path) -> pd.DataFrame:
    """Return the rows of an ARFF file; its nominal values are words, '?' is missing."""
    import pandas as pd
    from scipy.io import arff

    rows, attributes = arff.loadarff(file)
    frame = pd.DataFrame(rows)
    for name, kind in zip(attributes.names(), attributes.types(), strict=True):
        if kind == "nominal":
            words = frame[name].str.decode("utf-8")
            frame[name] = words.where(words != "?").astype("category")
    return frame
