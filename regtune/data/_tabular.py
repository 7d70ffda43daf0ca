"""Data sets that may be tables: how their numbers are scaled, and where features are made of their rows."""

from __future__ import annotations

from dataclasses import dataclass

from regtune.core.errors import Refused, shown
from regtune.core.knobs import knob
from regtune.data._encoding import SCALINGS, STANDARD, encoded
from regtune.data._on_disk import Own
from regtune.data._splits import Pool, Splits


@dataclass(frozen=True, kw_only=True)
class Tabular(Own):
    """The base of data sets whose pool may have `columns`: rows [N, columns, 1, 1] then, as they were read."""

    scaling: str = knob(
        default=STANDARD,
        legal=SCALINGS,
        late=True,
        meaning="of the numbers of a table, fitted on training rows: mean 0 and variance 1, or ranks made normal",
    )

    def split(self, pool: Pool) -> Splits:
        """Return the splits; of a table with its features [N, F, 1, 1], fitted on training rows alone."""
        if pool.columns and self.pixels != "true":
            raise Refused(
                f"{self.where}: expected pixels = 'true', since a table has none, given {shown(self.pixels)}; "
                f"leave it out"
            )
        splits = super().split(pool)
        return encoded(splits, pool.columns, self.scaling) if pool.columns else splits
