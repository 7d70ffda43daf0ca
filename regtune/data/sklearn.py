"""The tables that come with scikit-learn: real rows without a network."""

from __future__ import annotations

from dataclasses import dataclass

from regtune.core.knobs import knob
from regtune.data._frames import pool_of_frame
from regtune.data._location import DataLocation
from regtune.data._splits import Pool
from regtune.data._tabular import Tabular

SETS = {"breast_cancer": 569, "wine": 178, "iris": 150}  # rows


@dataclass(frozen=True, kw_only=True)
class Sklearn(Tabular):
    """Breast cancer (569 rows, 30 columns, 2 classes), wine (178, 13, 3) and iris (150, 4, 3), by name.

    Nothing is downloaded; `path` is not used. The digits are the data set `digits`, as pictures. Source: F. Pedregosa
    et al., "Scikit-learn: Machine Learning in Python" (JMLR 2011), with the sets of the UCI repository.
    """

    set: str = knob(default="breast_cancer", legal=tuple(SETS), meaning="which table")
    validation: int = knob(default=50, legal="[2, 100000000]", meaning="validation examples, of the training split")

    def pool(self, place: DataLocation) -> Pool:
        """Return all rows."""
        from sklearn import datasets  # takes a second to import

        read = getattr(datasets, f"load_{self.set}")(as_frame=True)
        names = [str(name) for name in read.target_names]
        frame = read.data.assign(target=[names[number] for number in read.target])
        return pool_of_frame(frame, target="target", categories=(), drop=(), where=self.where)
