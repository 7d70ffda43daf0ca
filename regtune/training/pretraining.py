"""Pretraining: what methods learn from another task before training, done once for all trials that ask for the same.

Its key is a hash of what it is a function of: the initial weights, the pictures, the method and its `pretraining_key`,
the type of numbers and the kind of device, the versions of torch and of this code. The weights found lie in one file
below `regtune-cache/pretrained` beside the data, or `$XDG_CACHE_HOME/regtune` (`~/.cache/regtune`), so that all trials
of a machine share them, and all of a cluster where that folder is shared. Two that ask at once: one trains, the other
waits. A file that is damaged is made again; where nothing can be written every trial trains for itself, which changes
no bit.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import pickle
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn

from regtune.core.global_rng import seeded
from regtune.core.records import Epoch
from regtune.core.rng import Rng
from regtune.core.writing import write_atomically
from regtune.data import DataLocation, Examples, Splits
from regtune.regularizers import Regularizer
from regtune.training import shapes
from regtune.training.recipe import Recipe, name_at

VERSION = 1  # of what the methods do; another one is made again
_DAMAGE = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError)
_ROWS = 4096  # pictures that are hashed at a time


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """What pretraining cost, with the key that says which: nothing where there was none.

    Trials with one key share one pretraining, and each says what that cost.
    """

    key: str = ""
    examples: int = 0
    seconds: float = 0.0

    def noted(self, epoch: Epoch) -> Epoch:
        """Return the first epoch of a trial with its cost."""
        return replace(epoch, pretrained=self.key, pretraining_examples=self.examples, pretraining_seconds=self.seconds)


def pretrained(recipe: Recipe, net: nn.Module, data: Splits) -> tuple[nn.Module, Pretraining]:
    """Return the network after what the methods of a recipe learn first, one after the other, and what that cost."""
    found = Pretraining()
    for site, method in recipe.pretraining:
        net, cost = _by(method, name_at(site), net, data)
        if cost.key:
            key = f"{found.key} {cost.key}".strip()
            examples, seconds = found.examples + cost.examples, found.seconds + cost.seconds
            found = Pretraining(key=key, examples=examples, seconds=seconds)
    return net, found


def _by(method: Regularizer, name: str, net: nn.Module, data: Splits) -> tuple[nn.Module, Pretraining]:
    key = _key(method, name, net, data)
    folder = _folder()
    with _locked(folder, key):
        file = folder / f"{key}.pt"
        saved = _read(file)
        if saved is not None:
            net = copy.deepcopy(net)
            net.load_state_dict(saved["state"])
            return net.train(), Pretraining(key=key, examples=saved["examples"], seconds=saved["seconds"])
        begun = time.perf_counter()
        seed = int(key[:7], 16)
        with seeded(seed, "pretraining", device=next(net.parameters()).device):
            given = method.pretrain(copy.deepcopy(net), data, Rng(seed=seed, prefix="pretraining/"))
        found, examples = shapes.pretrained(given, f"{name}.pretrain")
        found.train()  # as one that is read from a file
        seconds = time.perf_counter() - begun
        if not examples:
            return found, Pretraining(key=key if given.loaded else "")
        state = {part: value.detach().cpu() for part, value in found.state_dict().items()}
        _write(file, {"state": state, "examples": examples, "seconds": seconds})
        return found, Pretraining(key=key, examples=examples, seconds=seconds)


def _key(method: Regularizer, name: str, net: nn.Module, data: Splits) -> str:
    """Return the hash of what pretraining is a function of, 32 hexadecimal digits."""
    digest = hashlib.sha256()
    device = next(net.parameters()).device.type
    said = [VERSION, torch.__version__, name, method.pretraining_key(), device, torch.get_num_threads()]
    said += ["few"] if data.few else []  # of a source that is not among the data as few are read
    digest.update(json.dumps(said, sort_keys=True, default=str).encode())
    for part, value in net.state_dict().items():
        digest.update(f"{part} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(_bytes(value))
    for examples in (data.train, data.unlabelled, *([data.others] if data.others is not None else [])):
        for block in _blocks(examples) if examples is not None else ():
            digest.update(block)
        digest.update(b"end")
    return digest.hexdigest()[:32]


def _blocks(examples: Examples) -> Iterator[memoryview]:
    """Yield the pictures and the labels of examples as bytes."""
    for images in examples.batches(_ROWS):
        yield _bytes(images)
    yield _bytes(examples.labels)


def _bytes(value: torch.Tensor) -> memoryview:
    flat = value.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _folder() -> Path:
    """Return where pretrained weights are kept."""
    root = DataLocation.from_environment().root
    if root is not None and root.is_dir() and os.access(root, os.W_OK):
        return root / "regtune-cache" / "pretrained"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "regtune" / "pretrained"


@contextlib.contextmanager
def _locked(folder: Path, key: str) -> Iterator[None]:
    """Let one process at a time do what has this key; where no lock can be made, each does it."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / f"{key}.lock"))
        yield


def _read(file: Path) -> dict[str, Any] | None:
    """Return what a file holds; None where there is none, or a damaged one."""
    try:
        saved: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return {name: saved[name] for name in ("state", "examples", "seconds")}
    except OSError:
        return None
    except _DAMAGE as error:
        warnings.warn(f"{file}: damaged ({type(error).__name__}), written again", stacklevel=2)
        return None


def _write(file: Path, content: dict[str, Any]) -> None:
    """Keep what was found, where that is possible."""
    with contextlib.suppress(OSError), write_atomically(file) as part:
        torch.save(content, part)
