"""Contact sheets: small pictures in rows and columns, as one chart that needs no other file."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd
import torch
from torch import Tensor

SIDE, GAP = 40, 4  # of a picture on the page, and what is left between two
FINE = 80  # pixels that a picture has at least: small ones keep their squares, which a browser would smooth


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture [C, H, W] in [0, 1] with its place on the sheet, and words that stand below it."""

    row: str
    column: str
    picture: Tensor
    words: str = ""


def sheet_of(shots: Sequence[Shot], *, columns: str) -> alt.LayerChart:
    """Return a chart of pictures; `columns` is the title above them."""
    rows = [{"row": one.row, "column": one.column, "words": one.words, "url": as_url(one.picture)} for one in shots]
    below = 12 if any(one.words for one in shots) else 0
    base = alt.Chart().encode(
        x=alt.X(
            "column:N", sort=None, title=columns, axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False)
        ),
        y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False)),
    )
    pictures = base.mark_image(width=SIDE, height=SIDE).encode(url="url:N")
    words = base.mark_text(dy=SIDE / 2 + 7, fontSize=10).encode(text="words:N")
    return alt.LayerChart(layer=[pictures, words] if below else [pictures], data=pd.DataFrame(rows)).properties(
        width=alt.Step(SIDE + GAP), height=alt.Step(SIDE + GAP + below)
    )


def as_url(picture: Tensor) -> str:
    """Return a picture [C, H, W] in [0, 1] of one or three channels as the address of a PNG that it is itself."""
    times = -(-FINE // picture.shape[2])
    large = picture.repeat_interleave(times, 1).repeat_interleave(times, 2)
    levels = large.mul(255).round().to(torch.uint8).movedim(0, 2)
    height, width, channels = levels.shape
    lines = b"".join(b"\0" + levels[line].numpy().tobytes() for line in range(height))  # 0: no filter
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    whole = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(whole).decode()}"
