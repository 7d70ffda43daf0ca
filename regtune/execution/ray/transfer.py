"""What travels between a driver and a worker: bytes, and the data of a sweep, once per node."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray

from regtune.data import Examples, Pool, Splits


class OpaqueBytes:
    """Bytes that Tune can hold and print without a look inside: it writes whatever it handles into its messages."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def take(self) -> bytes:
        """Return the bytes and keep nothing: Tune holds the newest report of every trial to the end."""
        content, self._content = self._content, b""
        return content


Array = NDArray[Any]


class SharedPart(NamedTuple):
    """Examples: which of the shipment's pictures, which rows of those, and their labels."""

    source: int
    rows: Array
    labels: Array


@dataclass(frozen=True, kw_only=True)
class SharedData:
    """Splits, or a pool, as numpy arrays: Ray's object store shares those between processes without a copy.

    Pictures that parts share travel once. `parts` has the names of the fields; a pool has no validation. `more` has
    the fields that are no examples.
    """

    sources: tuple[Array, ...]
    parts: Mapping[str, SharedPart | None]
    more: Mapping[str, Any]

    @classmethod
    def pack(cls, data: Splits | Pool) -> SharedData:
        """Return the arrays of splits or a pool; what is not in them does not travel."""
        more = {name: value for name, value in vars(data).items() if isinstance(value, int | tuple)}
        examples = {name: part for name, part in vars(data).items() if name not in more}
        sources = list({id(part.source): part.source for part in examples.values() if part is not None}.values())
        places = {id(source): place for place, source in enumerate(sources)}
        parts = {
            name: SharedPart(places[id(part.source)], part.index.numpy(), part.labels.numpy())
            if part is not None
            else None
            for name, part in examples.items()
        }
        return cls(sources=tuple(source.numpy() for source in sources), parts=parts, more=more)

    def unpack(self) -> Splits | Pool:
        """Return tensors over the shared arrays; they are read-only, and nothing writes to them."""
        with warnings.catch_warnings():
            # torch cannot mark a tensor read-only and warns; batches are copies taken by index.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            sources = [torch.from_numpy(source) for source in self.sources]
            made = {
                name: Examples(
                    source=sources[part.source],
                    index=torch.from_numpy(part.rows),
                    labels=torch.from_numpy(part.labels),
                )
                if part is not None
                else None
                for name, part in self.parts.items()
            }
        kind: Any = Splits if "validation" in made else Pool
        data: Splits | Pool = kind(**self.more, **made)
        return data
