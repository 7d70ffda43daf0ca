"""Pictures turned as their EXIF says, and made square: squeezed, cropped or padded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SQUEEZE, CROP, PAD = FITS = ("squeeze", "crop", "pad")
_ORIENTATION = 0x0112  # the tag of EXIF


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a loaded picture, 1 to 8; 1, upright, where none that is known can be read."""
    try:
        found = image.getexif().get(_ORIENTATION)
    except SyntaxError:  # an EXIF block that is none: viewers show such a picture as it is
        return 1
    return found if isinstance(found, int) and found in range(1, 9) else 1


def exif_transposed(image: Image.Image, orientation: int) -> Image.Image:
    """Return a picture as it is to be seen, given how the camera says it lies (CIPA DC-008, "Orientation")."""
    from PIL.Image import Transpose

    moves = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(moves[orientation]) if orientation in moves else image


def fitted(image: Image.Image, *, side: int, fit: str) -> Image.Image:
    """Return a picture ("L", "RGB" or "F") as side x side, resized bilinearly.

    "squeeze" scales both axes on their own, "crop" takes the square in the middle, "pad" puts the whole picture in
    the middle of black. Half a pixel that is left over goes to the right and below.
    """
    from PIL import Image

    (width, height), bilinear = image.size, Image.Resampling.BILINEAR
    if (width, height) == (side, side):
        return image
    if fit == CROP:
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        return image.resize((side, side), bilinear, box=(left, top, left + short, top + short))
    if fit == PAD and width != height:
        longer = max(width, height)
        inner = (max(1, round(width * side / longer)), max(1, round(height * side / longer)))
        square = Image.new(image.mode, (side, side))
        square.paste(image.resize(inner, bilinear), ((side - inner[0]) // 2, (side - inner[1]) // 2))
        return square
    return image.resize((side, side), bilinear)
