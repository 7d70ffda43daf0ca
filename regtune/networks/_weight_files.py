"""Initial weights of a module from a file: safetensors, or what torch loads with `weights_only`; no code is run."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regtune.core.errors import Refused, shown
from regtune.core.file_names import as_file
from regtune.networks._compiled import plain_name

WITHIN = ("state_dict", "model")  # where checkpoints of training scripts have the weights, beside other things
FOLDER = "REGTUNE_DATA"


def pinned_digest(path: str, given: str) -> str:
    """Return a hash of a file; raises Refused where it cannot be read, or another one is given."""
    found = hashlib.sha256(_content(path, "network.weights")).hexdigest()
    if given not in ("", found):
        raise Refused(f"network.digest: expected the hash of {path}, {found}, given {given}; leave it out")
    return found


def load(module: nn.Module, path: str, digest: str, where: str) -> None:
    """Give a module the weights of a file, all of them; raises Refused, also where the hash of the file is another."""
    fill(module, read(path, digest, where), where)


def read(path: str, digest: str, where: str) -> dict[str, Tensor]:
    """Return the tensors of a file by name; raises Refused, also where its hash is another."""
    content = _content(path, where)
    found = hashlib.sha256(content).hexdigest()
    if digest and found != digest:
        raise Refused(
            f"{where}: expected the file of the trial, with the hash {digest[:12]}, given {found[:12]} in {path}; put "
            f"back the file, or begin another sweep"
        )
    return _tensors(content, path, where)


def fill(module: nn.Module, given: dict[str, Tensor], where: str) -> None:
    """Give a module weights, all of them; raises Refused where these are of another module."""
    wanted = module.state_dict()
    for name in [*wanted, *given]:
        one, other = (_shape(tensors.get(name)) for tensors in (wanted, given))
        if one != other:
            raise Refused(f"{where}: expected {name} {one} as in the module, given {other} in the file")
    module.load_state_dict(given)


def place_of(path: str, where: str) -> Path:
    """Return where a file is, below the data folder unless its path is from / on; raises Refused without a folder."""
    file = Path(as_file(path))
    root = os.environ.get(FOLDER)
    if not file.is_absolute() and not root:
        raise Refused(
            f"{where}: expected a data folder in which {shown(path)} is, set {FOLDER} to one (--data alone is not "
            f"enough), or give a path from / on"
        )
    return Path(root or "") / file


def _content(path: str, where: str) -> bytes:
    file = place_of(path, where)
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        said = error.strerror if isinstance(error, OSError) else error
        raise Refused(f"{where}: expected a file of weights, given {file}: {said}") from error


def _tensors(content: bytes, path: str, where: str) -> dict[str, Tensor]:
    try:
        found = _unpacked(content, path, where)
    except Refused:
        raise
    except Exception as error:  # both libraries raise many kinds for a file that is not their own
        raise Refused(
            f"{where}: expected safetensors (a name that ends in .safetensors), or a checkpoint that torch loads with "
            f"weights_only=True, given {path}: {shown(str(error), 100)}"
        ) from error
    for name in WITHIN:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if isinstance(found, Mapping) and all(isinstance(value, Tensor) for value in found.values()):
        return {plain_name(name): value for name, value in found.items()}
    raise Refused(f"{where}: expected tensors by name, as of state_dict(), given {type(found).__name__} in {path}")


def _unpacked(content: bytes, path: str, where: str) -> Any:
    if path.endswith(".safetensors"):
        try:
            from safetensors.torch import load as unpacked
        except ModuleNotFoundError as error:
            raise Refused(
                f"{where}: {path} takes safetensors, which is not installed: pip install safetensors"
            ) from error
        return unpacked(content)
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _shape(value: Tensor | None) -> str:
    return "nothing" if value is None else str(list(value.shape))
