"""From what pillow opened to levels: what is done with every mode that pillow knows.

Modes of at most 8 bits a channel go the way pillow converts them. Deeper ones pillow would cut off at 255, so they
are scaled here. What has no known scale is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regtune.core.errors import Refused

if TYPE_CHECKING:
    from PIL import Image

LEVEL = 257  # of 16 bits in one of 8 bits: 65535 / 255
AS_PILLOW = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV"})
BY_WAY_OF = {"La": "LA", "LAB": "RGB"}  # pillow converts these to few others
SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
WIDE = "I"  # 32 bits, of which these formats use 16
SIXTEEN_IN_WIDE = frozenset({"PNG", "PPM"})
FLOATS = "F"
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF
_SAMPLE_FORMAT, _SIGNED = 339, 2  # of TIFF


def is_deep(image: Image.Image) -> bool:
    """Return whether a picture has 16 bits a pixel."""
    return image.mode in SIXTEEN_BITS or (image.mode == WIDE and image.format in SIXTEEN_IN_WIDE)


def levelled(image: Image.Image, *, colour: str) -> Image.Image:
    """Return a loaded picture as "RGB" (`colour` "rgb") or "L", or as "F" in 0..255, not rounded yet, and grey.

    Alpha is dropped. 16 bits are divided by 257, floats in [0, 1] multiplied by 255. Raises Refused, saying the
    mode, for any other; what pillow raises for a damaged picture passes through.
    """
    if is_deep(image) or image.mode == FLOATS:
        return _scaled(image)
    if image.mode in BY_WAY_OF:
        image = image.convert(BY_WAY_OF[image.mode])
    if image.mode not in AS_PILLOW:
        raise Refused(f"mode {image.mode}, whose scale nothing tells")
    if _SIGNED in getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, ()):  # pillow reads -1 as 255
        raise Refused(f"mode {image.mode} of signed numbers")
    return image.convert("RGB" if colour == "rgb" else "L")


def _scaled(image: Image.Image) -> Image.Image:
    from PIL import Image

    tags = getattr(image, "tag_v2", {})
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # pillow turns 8 bits round, and these not
        raise Refused(f"mode {image.mode} with white as 0")
    values: NDArray[np.float32] = np.asarray(image).astype(np.float32)
    if image.mode == FLOATS:
        low, high = float(values.min()), float(values.max())
        if broken := int((~np.isfinite(values)).sum()):
            raise Refused(f"mode F with {broken} of {values.size} values that are NaN or infinite")
        if not (low >= 0 and high <= 1):
            raise Refused(f"mode F with values from {low:g} to {high:g}")
        return Image.fromarray(values * 255)
    bits = tags.get(_BITS_PER_SAMPLE, (16,))
    if bits != (16,):
        raise Refused(f"mode {image.mode} of {bits[0]} bits")
    return Image.fromarray(values / LEVEL)
