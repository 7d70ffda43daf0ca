"""What the service answers where it refuses: one object, `{"error": {"message": ..., "path": ...}}`."""

from __future__ import annotations

import re

from pydantic import BaseModel, Field

from regtune.core.errors import Refused
from regtune.sweep.schema import SweepFile

UNAVAILABLE = 503  # for now: who asks again may be answered
_PATH = re.compile(r"([a-z]+)([\w.\[\]-]*)(?: [^:]*)?: ")  # a table of the file, what is in it, perhaps a name


class Error(BaseModel):
    """Why a request was refused."""

    message: str = Field(description="where, what was expected, what was given, the remedy, in one line")
    path: str | None = Field(default=None, description="the setting of the sweep file, as training.epochs")


class Problem(BaseModel):
    """The answer to a request that was refused."""

    error: Error


class Denied(Refused):
    """A refusal with its HTTP status: 404 for what is not there, 409 for what cannot be now, 413 for too much.

    503 is for what may be answered later.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def problem(error: Refused) -> Problem:
    """Return the answer to what was refused; its path is that of the sweep file, where the line begins with one."""
    text = str(error)
    found = _PATH.match(text)
    path = found[1] + found[2] if found and found[1] in SweepFile.model_fields else None
    return Problem(error=Error(message=text, path=path))


def status_of(error: Refused) -> int:
    """Return the HTTP status of a refusal: 422 where what was sent cannot be carried out."""
    return error.status if isinstance(error, Denied) else 422
