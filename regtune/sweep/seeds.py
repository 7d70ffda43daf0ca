"""Which seeds the trials of a sweep have: no two of a sweep, of its repeats and of its hidden copy ever meet."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from regtune.sweep.schema import MAX_TRIALS

SHIFT = MAX_TRIALS // 2  # how far the seeds of the copy lie from those of the arms


class Seeds(BaseModel):
    """The seeds below a seed: search counts up, select counts down from behind it, confirm counts up from there.

    `shift` is 0, or `SHIFT` for the copy. Up to `SHIFT` seeds of search and select together and up to `SHIFT` of
    confirm lie, from below: search of the arms, select of the copy, search of the copy, select of the arms, confirm of
    the arms, confirm of the copy. A sweep without a copy may have twice as many.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    seed: int
    shift: int = 0

    def search_seed(self, number: int) -> int:
        """Return the seed of the search trial of this number: the same in every arm."""
        return 2 * MAX_TRIALS * self.seed + self.shift + number

    def select_seed(self, number: int) -> int:
        """Return the further seed of this number, on which candidates are compared: the same in every arm."""
        return 2 * MAX_TRIALS * self.seed - self.shift + MAX_TRIALS - 1 - number

    def confirm_seed(self, number: int) -> int:
        """Return the seed of the confirm trial of this number: the same in every arm, never searched."""
        return 2 * MAX_TRIALS * self.seed + self.shift + MAX_TRIALS + number
