"""Weights of a network that was trained before, from a file of `regtune export`: tensors by name, no code is run."""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from regtune.core.errors import Refused, shown
from regtune.core.file_names import as_file
from regtune.core.state import Tensors
from regtune.networks import without_heads
from regtune.regularizers._layers import layers

PARTS = ("params", "buffers")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """All that a network has in a file but its last layer, by name; `digest` is a hash of the file."""

    trunk: Tensors
    digest: str

    @classmethod
    def read(cls, path: str, root: Path | None) -> Exported:
        """Return what is in a file, a relative path being below `root`; raises Refused for other files."""
        file = Path(as_file(path))
        if not file.is_absolute() and root is None:
            raise Refused(
                f"weights: expected a data folder in which {shown(path)} is, set REGTUNE_DATA to one (--data alone is "
                f"not enough), or give a path from / on"
            )
        file = (root or Path()) / file
        try:
            stamp = file.stat()
            return _read(file, (stamp.st_mtime_ns, stamp.st_size))
        except OSError as error:
            raise Refused(f"weights: expected a file of regtune export, given {file}: {error.strerror}") from error

    def check(self, net: nn.Module) -> None:
        """Raise Refused where the layers of a network have other names or shapes, naming the first."""
        wanted = _trunk(dict(net.named_parameters()), dict(net.named_buffers()))
        for name in [*wanted, *self.trunk]:
            one, other = (_shape(tensors.get(name)) for tensors in (wanted, self.trunk))
            if one != other:
                raise Refused(
                    f"weights: expected {name} {one} as in this network, given {other} in the file; export a network "
                    f"of these settings, for pictures of this shape"
                )

    def load(self, net: nn.Module) -> None:
        """Give a network that was checked the weights, in place."""
        into = _trunk(dict(net.named_parameters()), dict(net.named_buffers()))
        with torch.no_grad():
            for name, value in into.items():
                value.copy_(self.trunk[name])


@functools.lru_cache(maxsize=1)  # every trial asks more than once
def _read(file: Path, stamp: tuple[int, int]) -> Exported:
    """Return what is in a file that was changed last when the `stamp` says."""
    content = file.read_bytes()
    try:
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        trunk = _trunk(*(dict(saved[part]) for part in PARTS))
    except Exception as error:  # torch raises many kinds for a file that is not its own
        text = shown(str(error), 100)
        raise Refused(f"weights: expected a file of regtune export, given another, {file}: {text}") from error
    return Exported(trunk=trunk, digest=hashlib.sha256(content).hexdigest())


def _trunk(params: Tensors, buffers: Tensors) -> Tensors:
    """Return the parameters of all layers but the last, and all buffers but those of the last."""
    *found, last = layers(params)
    end = last[0][: last[0].rfind(".") + 1]  # the module, as in "head."
    beside = {name: value for name, value in without_heads(buffers).items() if not end or not name.startswith(end)}
    return {name: params[name] for layer in found for name in layer} | beside


def _shape(value: Tensor | None) -> str:
    return "none" if value is None else str(list(value.shape))
