"""A method that is no method: it multiplies what flows by 1 + tiny, and so changes nothing but rounding.

Bends: hidden units.
Formula: h (1 + factor).
Expect: other bits from the first step on; after some epochs another trajectory, as on another machine.
Not with: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from optuna.distributions import FloatDistribution

from regtune.core.knobs import knob
from regtune.core.state import Number
from regtune.networks import Slot
from regtune.regularizers import Regularizer, Step


@dataclass(frozen=True, kw_only=True)
class Rounding(Regularizer):
    """Multiplies hidden units by 1 + factor, a few units in the last place of float32.

    Source: none; it is the null method of an A/A test.
    """

    needs: ClassVar[tuple[str, ...]] = ("hidden",)

    factor: Number = knob(
        default=3e-7,
        legal="[0, 1e-6]",
        space=FloatDistribution(2e-7, 1e-6),
        neutral=0.0,
        meaning="what hidden units are larger by",
    )

    def bend(self, x: Any, slot: Slot, step: Step) -> Any:
        """Return hidden units that are larger by next to nothing."""
        return x * (1 + self.factor) if slot.kind == "hidden" else x
