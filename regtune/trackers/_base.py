"""What a tracker is told: of each trial its knobs, its epochs as they come and its outcome; a table at the end."""

from __future__ import annotations

import hashlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from regtune.core.errors import Refused
from regtune.core.records import TrialKey

INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A trial. `id` is that of the trial, which determines its numbers; `knobs` the searched ones by path."""

    key: TrialKey
    id: str
    knobs: Mapping[str, Any]

    @property
    def uid(self) -> str:
        """What tells it from every other run of its sweep: a key may be asked for again with another trial."""
        return hashlib.sha256(f"{self.key} {self.id}".encode()).hexdigest()[:16]


class Tracker(ABC):
    """Writes the runs of a sweep somewhere. Its methods may raise whatever its library raises.

    A run that was begun and has not ended, or whose end is "interrupted", is begun again and told from its beginning.
    """

    @abstractmethod
    def __init__(self, sweep: str, folder: Path) -> None:
        """Open it for a sweep, called as its results folder is, `folder`; raises Refused without its library."""

    @abstractmethod
    def ended(self) -> Set[str]:
        """Return the uids of the runs that are there from beginning to end."""

    @abstractmethod
    def begin(self, run: Run) -> None:
        """Begin a run; what is there of it is replaced."""

    @abstractmethod
    def epoch(self, run: Run, number: int, values: Mapping[str, float]) -> None:
        """Write what was measured after an epoch of a run, which counts from 1."""

    @abstractmethod
    def end(self, run: Run, status: str, values: Mapping[str, float]) -> None:
        """End a run with its status (`records.Status`, or `INTERRUPTED`) and the metrics of its outcome."""

    @abstractmethod
    def table(self, text: str, frame: pd.DataFrame) -> None:
        """Write the tables of the sweep, in Markdown, and the first of them as a frame with one row per arm."""


def library(name: str, extra: str) -> ModuleType:
    """Import the library of a tracker; raises Refused where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Refused(f"--log-to {extra}: it takes {error.name}; pip install 'regtune[{extra}]'") from error
