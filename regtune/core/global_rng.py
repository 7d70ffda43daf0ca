"""Global random states: what a user's code draws from them is a function of trial and step, and they are put back.

regtune draws from `Rng` only. A network of a user's with `nn.Dropout`, a method that calls `torch.randn_like`, a
data set that asks numpy, draw from states that belong to the whole process. They are reseeded for each step, so
that a trial repeats and resumes bit for bit, and the caller finds them as they were.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regtune.core.errors import Refused

_CPU = torch.device("cpu")
_IN_VMAP = "randomness error mode"  # what torch.vmap says of a draw inside of it


@dataclass(frozen=True, kw_only=True)
class GlobalStates:
    """The global random states of torch (on the CPU and one GPU), numpy and Python at one moment."""

    cpu: Tensor
    cuda: Tensor | None
    numpy: dict[str, Any]
    python: tuple[Any, ...]

    @classmethod
    def now(cls, device: torch.device = _CPU) -> GlobalStates:
        """Return the states of this process, that of `device` included."""
        return cls(
            cpu=torch.get_rng_state(),
            cuda=torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            numpy=np.random.get_state(legacy=False),
            python=random.getstate(),
        )

    def put_back(self, device: torch.device = _CPU) -> None:
        """Make these the states of this process again."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, device)
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def other_than(self, before: GlobalStates) -> list[str]:
        """Return whose states have changed since: of "torch", "numpy" and "random"."""
        cuda = self.cuda is not None and before.cuda is not None and not torch.equal(self.cuda, before.cuda)
        changed = {
            "torch": cuda or not torch.equal(self.cpu, before.cpu),
            "numpy": pickle.dumps(self.numpy) != pickle.dumps(before.numpy),
            "random": self.python != before.python,
        }
        return [name for name, has in changed.items() if has]


def seed_all(seed: int, use: str, step: int = 0, *, device: torch.device = _CPU) -> None:
    """Seed the global states by a hash of a seed, what is drawn for, and a step."""
    key = int.from_bytes(hashlib.blake2b(f"{use}/{seed}/{step}".encode(), digest_size=8).digest(), "big")
    torch.default_generator.manual_seed(key)  # torch.manual_seed would seed every device there is
    if device.type == "cuda":
        torch.cuda.manual_seed(key)
    np.random.seed(key & 0xFFFFFFFF)
    random.seed(key)


@contextlib.contextmanager
def seeded(seed: int, use: str, *, device: torch.device = _CPU) -> Iterator[None]:
    """Seed the global states for a block, then put back what they were."""
    before = GlobalStates.now(device)
    try:
        seed_all(seed, use, device=device)
        yield
    finally:
        before.put_back(device)


@dataclass(frozen=True, kw_only=True)
class LaneNoise:
    """The global states while trials train that hold code of a user's; without such code nothing is done.

    `seeds` are those of the trials. One of them alone is seeded by its own seed at every step. Several would share
    one stream, and each would change what its neighbours draw: there a draw is refused.
    """

    present: bool
    seeds: Sequence[int]
    device: torch.device

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        """Put the states back behind a block; raises Refused for a draw in a lane of several."""
        if not self.present:
            yield
            return
        before = GlobalStates.now(self.device)
        try:
            with contextlib.nullcontext() if len(self.seeds) == 1 else self._unused():
                yield
        finally:
            before.put_back(self.device)

    def at(self, use: str, step: int) -> None:
        """Seed the states for a step of a trial alone."""
        if self.present and len(self.seeds) == 1:
            seed_all(self.seeds[0], use, step, device=self.device)

    @contextlib.contextmanager
    def _unused(self) -> Iterator[None]:
        """Raise Refused where a block draws from a global state."""
        seed_all(0, "lane", device=self.device)
        begun = GlobalStates.now(self.device)
        try:
            yield
        except RuntimeError as error:
            if _IN_VMAP not in str(error):
                raise
            raise self._refused("torch") from error
        if drawn := GlobalStates.now(self.device).other_than(begun):
            raise self._refused(" and ".join(drawn))

    def _refused(self, source: str) -> Refused:
        return Refused(
            f"lane: expected random numbers from step.noise only, given draws from the global state of {source}, which "
            f"{len(self.seeds)} trials would share; train them one by one"
        )
