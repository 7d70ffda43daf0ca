"""Files of bytes beside the log: where trials under way resume from, and the weights that confirm kept.

A file is one line of JSON, which says whose bytes these are and their checksum, and then the bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.records import TrialKey
from regtune.core.writing import room_for, write_atomically

HALF = ".half"


@dataclass(frozen=True, kw_only=True)
class Saved:
    """The bytes of a trial, by its id, after so many epochs."""

    id: str
    epoch: int
    content: bytes


@dataclass(frozen=True)
class Checkpoints:
    """One folder with a file for each trial key that has one."""

    folder: Path

    def path(self, key: TrialKey) -> Path:
        """Return where the bytes of a trial key lie."""
        return self.folder / f"{key.arm}-{key.phase}-{key.number}"

    def save(self, key: TrialKey, saved: Saved) -> None:
        """Write the bytes of a key in place of older ones; they are on the disk when this returns. Raises NoRoom."""
        head = {"id": saved.id, "epoch": saved.epoch, "sha256": hashlib.sha256(saved.content).hexdigest()}
        target = self.path(key)
        with room_for(target):
            self.folder.mkdir(parents=True, exist_ok=True)
        with write_atomically(target, suffix=HALF) as half:
            half.write_bytes(json.dumps(head).encode() + b"\n" + saved.content)

    def load(self, key: TrialKey) -> Saved | None:
        """Return the bytes of a trial key, None where there are none. Raises Refused where they are damaged."""
        path = self.path(key)
        try:
            first, _, content = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        try:
            head = json.loads(first)
            intact = head["sha256"] == hashlib.sha256(content).hexdigest()
            saved = Saved(id=str(head["id"]), epoch=int(head["epoch"]), content=content)
        except (ValueError, KeyError, TypeError, RecursionError):
            intact = False
        if not intact:
            raise Refused(f"{path}: expected bytes with the checksum of their first line, given other ones")
        return saved

    def drop(self, key: TrialKey) -> None:
        """Remove the bytes of a trial key, and what a killed driver left half written."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}{HALF}").unlink(missing_ok=True)
