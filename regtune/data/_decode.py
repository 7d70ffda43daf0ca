"""A picture file's bytes into levels, and what a user should know of it."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regtune.data._levels import LEVEL, is_deep, levelled
from regtune.data._shapes import SQUEEZE, exif_transposed, fitted, orientation

if TYPE_CHECKING:
    from PIL import Image

SHALLOW = "16-bit pictures: no value is above "  # how the line begins that says so
_FEW_BITS = 14  # of 16, with which at most a quarter of the levels are left
_PREVIEWS = "MPO"  # JPEG of cameras, whose further frames are previews


class Facts(NamedTuple):
    """What is known of a file beside its levels: pixels as it is seen, alpha, frames, highest of 16-bit values."""

    name: str
    width: int
    height: int
    transparent: bool
    frames: bool
    highest: int | None


def decoded(name: str, raw: bytes, *, side: int, colour: str, fit: str) -> tuple[NDArray[np.uint8], Facts]:
    """Return the first frame of a picture as uint8 [C or 1, side, side] and its facts.

    Raises Refused, saying why in a few words without the file, for a mode that has no levels, and what pillow raises
    (OSError, SyntaxError, ValueError, DecompressionBombError) for what is no picture.
    """
    from PIL import Image

    with _no_warning_of_size(), Image.open(io.BytesIO(raw)) as image:
        image.load()  # before EXIF: that of a PNG may come last, and a TIFF is turned as it is loaded
        upright = exif_transposed(levelled(image, colour=colour), orientation(image))
        facts = Facts(
            name=name,
            width=upright.width,
            height=upright.height,
            transparent=_transparent(image),
            frames=_several(image),
            highest=int(np.asarray(image).max()) if is_deep(image) else None,
        )
    levels = np.asarray(fitted(upright, side=side, fit=fit))
    if levels.dtype != np.uint8:
        levels = np.rint(levels).clip(0, 255).astype(np.uint8)
    return levels.reshape(side, side, -1).transpose(2, 0, 1), facts


@contextmanager
def _no_warning_of_size() -> Iterator[None]:
    """Have pillow open large pictures without a word: they are the user's own, and those beyond its limit raise."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def said_of(every: Sequence[Facts], *, side: int, fit: str) -> tuple[str, ...]:
    """Return what becomes of pictures that a user may not expect, a line each."""
    lines = []
    oblong = [facts for facts in every if facts.width != facts.height]
    if oblong and fit == SQUEEZE:
        most = max(oblong, key=lambda facts: max(facts.width / facts.height, facts.height / facts.width))
        lines.append(
            f"{len(oblong)} of {len(every)} pictures are not square and are squeezed to {side} x {side} (fit = "
            f"'squeeze'), {most.name} from {most.width} x {most.height}; 'crop' and 'pad' keep their shape"
        )
    if clear := [facts.name for facts in every if facts.transparent]:
        lines.append(
            f"{len(clear)} of {len(every)} pictures are transparent in places, as {clear[0]}; alpha is dropped, what "
            f"is below it is seen"
        )
    if several := [facts.name for facts in every if facts.frames]:
        lines.append(f"{len(several)} of {len(every)} files have several frames, as {several[0]}; the first is taken")
    highest = max((facts.highest for facts in every if facts.highest is not None), default=None)
    if highest is not None and highest.bit_length() <= _FEW_BITS:
        lines.append(
            f"{SHALLOW}{highest}, so at most {round(highest / LEVEL) + 1} of 256 levels are "
            f"left; multiply them by {65535 // max(highest, 1)}"
        )
    return tuple(lines)


def _transparent(image: Image.Image) -> bool:
    if image.getbands()[-1] in ("A", "a"):
        alpha = image.getchannel(len(image.getbands()) - 1)
    elif "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        alpha = image.convert("RGBA").getchannel("A")
    else:
        return False
    low, _ = alpha.getextrema()
    return isinstance(low, int | float) and low < 255


def _several(image: Image.Image) -> bool:
    try:
        return image.format != _PREVIEWS and bool(getattr(image, "is_animated", False))
    except (IndexError, struct.error):  # of a GIF that is cut off behind its first frame: a second one begins
        return True
