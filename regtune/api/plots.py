"""The figures of a sweep as Altair charts, which a notebook shows and `chart.save` writes."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt

from regtune.core.errors import Refused, nearest
from regtune.reports.figures._drawing import Drawing
from regtune.reports.figures.catalog import FIGURES, Figure, drawn_one
from regtune.reports.tables.catalog import Tables


@dataclass(frozen=True)
class Plots:
    """The figures of a sweep, each an Altair chart with its data; `caption` says what one shows.

    Where there is nothing to draw `Refused` says why.
    """

    _tables: Tables

    def __call__(self, name: str) -> Drawing:
        """Return a figure by its name; raises Refused, with the nearest name, for one that is not there."""
        figure = self._figure(name)
        if figure.spec is None:
            raise Refused(f"plot.{name}: {figure.why}")
        chart: Drawing = alt.Chart.from_dict(figure.spec)  # with its data: altair shows charts of tables up to a size
        return chart

    def caption(self, name: str) -> str:
        """Return what a figure shows."""
        return self._figure(name).caption

    @property
    def names(self) -> list[str]:
        """The names of the figures, in the order of the report."""
        return [spec.draw.__name__ for spec in FIGURES]

    def effects(self) -> Drawing:
        """Return the effect of each arm on the test score, with its interval."""
        return self("effects")

    def pairs(self) -> Drawing:
        """Return the difference of every arm to every other."""
        return self("pairs")

    def progress(self) -> Drawing:
        """Return the best score so far against epochs spent, an arm a panel."""
        return self("progress")

    def tuning_curves(self) -> Drawing:
        """Return the best of n search trials, for n up to all."""
        return self("tuning_curves")

    def survival(self) -> Drawing:
        """Return how many trials are left after each epoch."""
        return self("survival")

    def confirmed_curves(self) -> Drawing:
        """Return the learning curves of the confirmed trials."""
        return self("confirmed_curves")

    def searched_curves(self) -> Drawing:
        """Return the learning curves of the search."""
        return self("searched_curves")

    def sensitivity(self) -> Drawing:
        """Return the score against each knob."""
        return self("sensitivity")

    def importance(self) -> Drawing:
        """Return the importance of the knobs of each arm."""
        return self("importance")

    def magnitudes(self) -> Drawing:
        """Return RandAugment's operations and magnitude, where both were searched."""
        return self("magnitudes")

    def _figure(self, name: str) -> Figure:
        if name not in self.names:
            raise Refused(f"plot: unknown figure {name!r}{nearest(name, self.names)}")
        return drawn_one(self._tables, name)
