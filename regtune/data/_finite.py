"""Values that are no numbers: how many, and where the first is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regtune.core.errors import Refused


def check_finite(values: NDArray[Any], name: str, where: str) -> None:
    """Raise Refused for NaN or infinity in an array of floats of that name."""
    broken = ~np.isfinite(values)
    if not broken.any():
        return
    first = np.unravel_index(int(broken.argmax()), values.shape)
    raise Refused(
        f"{where}: expected {name} without NaN and infinity, given {int(broken.sum())} of {values.size} values that "
        f"are, the first {float(values[first])} at {name}[{', '.join(str(int(place)) for place in first)}]; "
        f"mend them or leave these examples out"
    )
