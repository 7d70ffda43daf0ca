"""Where the user's data lie on this machine. Never part of a trial: a log must read the same elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from regtune.core.errors import Refused, shown
from regtune.core.file_names import as_file

VARIABLE = "REGTUNE_DATA"


@dataclass(frozen=True, kw_only=True)
class DataLocation:
    """`root` is the folder below which data sets lie, if there is one; `download` allows to fetch missing ones."""

    root: Path | None = None
    download: bool = False

    @classmethod
    def from_environment(cls) -> DataLocation:
        """Return the place that REGTUNE_DATA names; nothing is downloaded to it."""
        given = os.environ.get(VARIABLE)
        return cls(root=Path(given) if given else None)

    def folder(self, where: str) -> Path:
        """Return the folder, made first if downloads are to go there; raises Refused, naming `where`."""
        if self.root is None:
            raise Refused(f"{where}: expected a data folder; set {VARIABLE} or --data to one (--download fills it)")
        if self.download:
            self.root.mkdir(parents=True, exist_ok=True)
        if not self.root.is_dir():
            raise Refused(f"{where}: expected a data folder, {self.root} is none; set {VARIABLE} or --data")
        return self.root

    def below(self, path: str, where: str) -> Path:
        """Return what lies at a path of the user's below the folder; raises Refused where there is nothing."""
        if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise Refused(f"data.path: expected a path below the data folder, as in 'pictures', given {shown(path)}")
        found = self.folder(where) / as_file(path)
        if not found.exists():
            raise Refused(f"{where}: expected {found}, found nothing; correct data.path, {VARIABLE} or --data")
        return found
