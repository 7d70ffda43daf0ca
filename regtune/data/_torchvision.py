"""Data sets as their makers published them, through torchvision: its downloads, checksums and readers."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from regtune.core.errors import Refused
from regtune.core.registry import name_of
from regtune.core.writing import room_for
from regtune.data._cache import cached
from regtune.data._location import VARIABLE, DataLocation
from regtune.data._on_disk import Real
from regtune.data._splits import Pool

T = TypeVar("T")
# What readers of a format raise on a file that is not of it; torchvision asserts.
DAMAGE = (RuntimeError, AssertionError, ValueError, TypeError, KeyError, IndexError, EOFError)


@dataclass(frozen=True, kw_only=True)
class Published(Real):
    """A data set of which torchvision knows where to get it. `files` are its originals, below the data folder."""

    files: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def download(self, folder: Path) -> None:
        """Have torchvision fetch the originals."""

    @abc.abstractmethod
    def read(self, folder: Path) -> Pool:
        """Return the pool of the originals; raises Refused for a damaged one."""

    def variant(self) -> dict[str, str]:
        """Return those settings that decide what is in the pool."""
        return {}

    def pool(self, place: DataLocation) -> Pool:
        """Return all examples; raises Refused where originals are missing or damaged."""
        folder = place.folder(self.where)
        missing = self._missing(folder)
        if missing and place.download:
            try:
                with room_for(folder):
                    self.download(folder)
            except (RuntimeError, OSError) as error:
                raise Refused(f"{self.where}: download failed: {' '.join(str(error).split())[:400]}") from error
            missing = self._missing(folder)
        if missing:
            raise Refused(
                f"{self.where}: expected {missing[0]}, found nothing; "
                f"set {VARIABLE} or --data to the folder that holds it, or add --download"
            )
        originals = [folder / file for file in self.files]
        name = name_of(type(self))
        return cached(folder, name, {"name": name, **self.variant()}, originals, lambda: self.read(folder))

    def datasets(self) -> Any:
        """Return `torchvision.datasets`; raises Refused where torchvision is missing."""
        try:
            from torchvision import datasets  # costs a second at start-up, so only here
        except ModuleNotFoundError as error:
            raise Refused(
                f"{self.where}: needs torchvision, which is not installed; pip install 'regtune[vision]'"
            ) from error
        return datasets

    def whole(self, path: Path, read: Callable[[str], T]) -> T:
        """Return what a reader makes of an original; raises Refused where it is damaged."""
        try:
            return read(str(path))
        except DAMAGE as error:
            raise self.damaged(path) from error

    def verify(self, folder: Path, checksums: Mapping[str, str]) -> None:
        """Raise Refused unless the originals have torchvision's checksums (MD5 by file name)."""
        from torchvision.datasets.utils import check_integrity

        for file in self.files:
            if not check_integrity(folder / file, checksums[Path(file).name]):
                raise self.damaged(folder / file)

    def damaged(self, path: Path) -> Refused:
        """Return what is said of a damaged original."""
        return Refused(f"{self.where}: {path} is damaged or half downloaded; delete it and add --download")

    def _missing(self, folder: Path) -> list[Path]:
        return [folder / file for file in self.files if not (folder / file).is_file()]
