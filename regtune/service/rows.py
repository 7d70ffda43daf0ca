"""Rows of trials and epochs as strict JSON: filtered, and a page of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pandas as pd
from pydantic import BaseModel, Field

from regtune.core.records import Json

HIDDEN = ("test_right",)  # bits, which take more room than all else


class Rows(BaseModel):
    """A page of rows."""

    total: int = Field(description="rows that the filters leave")
    offset: int
    rows: list[Json] = Field(description="numbers that are not finite or not defined are null")


def page(frame: pd.DataFrame, filters: Mapping[str, Any], offset: int, limit: int) -> bytes:
    """Return the JSON of `Rows` of a frame: those whose columns have these values, where one is given."""
    for column, value in filters.items():
        if value is not None and column in frame.columns:
            frame = frame[frame[column] == value]
    part = frame.iloc[offset : offset + limit].drop(columns=[name for name in HIDDEN if name in frame.columns])
    part = part.astype(object).where(part.notna(), None)
    found = {"total": len(frame), "offset": offset, "rows": part.to_dict("records")}
    return orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY)  # which writes null for infinity too
