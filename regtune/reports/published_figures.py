"""Published tables: one TOML file each in `published/`, with source, protocol and figures."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from regtune.core.errors import Refused, nearest, shown

FOLDER = Path(__file__).parent / "published"


class Strict(BaseModel):
    """A part of a file: nothing is in it that is not named here."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(Strict):
    """A row of a published table. Without `arms` it is shown, and beside nothing of ours.

    `arms` are names of arms in sweep files: the first that a sweep has is meant. `data` and `network` name what the
    sweep must have for that; `settings` of the row differ from those of the table and are said in `label`.
    """

    label: str = Field(min_length=1)
    value: float
    spread: float | None = None
    arms: list[str] = []
    data: list[str] = []
    network: list[str] = []
    also: str = ""


class Protocol(Strict):
    """How the figures came about; what is not published, or could not be read, is left out.

    `data` and `network` are words for a reader; `data_is` and `network_is` what a sweep has in these tables where it
    is the same. `n` counts runs, `summary` says what a figure is of them; `spread` says what ± is.
    """

    data: str = Field(min_length=1)
    network: str = Field(min_length=1)
    data_is: dict[str, Any] = {}
    network_is: dict[str, Any] = {}
    train: int | None = None
    epochs: int | None = None
    updates: int | None = None
    batch: int | None = None
    n: int | None = None
    summary: str = ""
    spread: str = ""
    notes: list[str] = []


class Published(Strict):
    """A published table.

    `measure` is what the figures are, in percent: error or accuracy on test. `sweeps` are patterns of the names of
    sweeps that it belongs to; `read` says where the figures were read.
    """

    source: str = Field(min_length=1)
    table: str = Field(min_length=1)
    read: str = Field(min_length=1)
    measure: Literal["error", "accuracy"]
    sweeps: list[str]
    protocol: Protocol
    figures: list[Figure] = []


def names() -> list[str]:
    """Return the names of all published tables."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def published(name: str) -> Published:
    """Return a published table; raises Refused for an unknown one."""
    if name not in (known := names()):
        raise Refused(f"--published-table: unknown table {shown(name)}{nearest(name, known)}")
    return Published.model_validate(tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


def belonging(sweep: str) -> list[str]:
    """Return the names of the tables that belong to a sweep of this name; raises Refused where there is none."""
    found = [name for name in names() if any(fnmatchcase(sweep, pattern) for pattern in published(name).sweeps)]
    if not found:
        raise Refused(
            f"--published: expected a sweep that a published table belongs to, given {shown(sweep)}; name a table "
            f"with --published-table (one of: {', '.join(names())})"
        )
    return found
