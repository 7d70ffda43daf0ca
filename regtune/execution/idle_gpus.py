"""GPUs that are there and that no trial of a sweep uses."""

from __future__ import annotations

import torch

from regtune.sweep.schema import ClusterConfig


def gpus_here() -> int:
    """Return how many GPUs torch sees on this machine."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def idle_gpus(terms: ClusterConfig, gpus: float, place: str) -> list[str]:
    """Return what is said of so many GPUs of a place where trials use none of them, in lines: one or none.

    It is advice for a sweep that has not begun: trials on GPUs are others than those on CPUs.
    """
    if terms.gpus_per_trial or gpus < 1:
        return []
    count = "a GPU" if gpus < 2 else f"{gpus:.0f} GPUs"
    return [
        f"{place} has {count}, and no trial uses {'it' if gpus < 2 else 'them'}: cluster.gpus_per_trial is 0; with 1, "
        f"or a share as 0.25, trials train on a GPU"
    ]
