"""What requests of several routes may say: which sweep, which repeat, which part of a list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

Name = Annotated[str, Path(max_length=100, description="name of a sweep")]
Repeat = Annotated[int, Query(ge=1, le=100, description="which repeat of a sweep with repeats")]
NewestRepeat = Annotated[int | None, Query(ge=1, le=100, description="which repeat; else the newest")]
Offset = Annotated[int, Query(ge=0, le=10**12, description="rows to skip")]
