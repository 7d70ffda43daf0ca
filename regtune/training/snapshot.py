"""What a lane must keep in order to go on later, as bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from regtune.core.errors import Refused
from regtune.core.records import Epoch
from regtune.core.state import Tensors, TrainState


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A lane between two epochs: the ids of its trials, their state, the (params, buffers) and epochs of each."""

    trials: Sequence[str]
    state: TrainState
    kept: list[tuple[Tensors, Tensors]]
    epochs: list[list[Epoch]]

    def content(self) -> bytes:
        """Return the bytes, readable with `weights_only=True`."""
        rows = [[epoch.plain() for epoch in epochs] for epochs in self.epochs]
        buffer = io.BytesIO()
        torch.save({"trials": list(self.trials), "state": tuple(self.state), "kept": self.kept, "epochs": rows}, buffer)
        return buffer.getvalue()

    @classmethod
    def read(cls, content: bytes, trials: Sequence[str], device: torch.device) -> Snapshot:
        """Return the snapshot of such bytes; raises Refused where it is of other trials."""
        saved = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
        if saved["trials"] != list(trials):
            raise Refused(f"resume: the checkpoint is of {saved['trials']}, expected {list(trials)}")
        epochs = [[Epoch.from_plain(row) for row in rows] for rows in saved["epochs"]]
        return cls(trials=trials, state=TrainState(*saved["state"]), kept=saved["kept"], epochs=epochs)
