"""Truths about many examples in little text: which test examples a trial got right."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray


def pack_bits(truths: NDArray[np.bool_]) -> str:
    """Return booleans [N] as text: their number, a colon, and their bits, eight to a byte, in base64."""
    return f"{len(truths)}:{base64.b64encode(np.packbits(truths).tobytes()).decode()}"


def unpack_bits(text: str) -> NDArray[np.bool_]:
    """Return the booleans [N] of such a text; none for the empty one."""
    count, _, bits = text.partition(":")
    content = np.frombuffer(base64.b64decode(bits), dtype=np.uint8)
    return np.unpackbits(content, count=int(count or 0)).astype(bool)
