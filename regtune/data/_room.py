"""Whether the pictures live on the device or travel batch by batch."""

from __future__ import annotations

import warnings

import torch

SHARE = 4  # one trial's pictures take at most this part of the memory that is free when it starts


def resident(needed: int, free: int) -> bool:
    """Return whether pictures of `needed` bytes live on a device with `free` bytes: if they take a quarter of it.

    The rest is for weights, activations and the trials beside; each of those leaves less to the next, so
    that no number of them takes it all.
    """
    return needed * SHARE <= free


def fits(needed: int, device: torch.device) -> bool:
    """Return whether pictures of `needed` bytes are to live on a device; warns in one line where not."""
    free, _ = torch.cuda.mem_get_info(device)
    if resident(needed, free):
        return True
    warnings.warn(
        f"data: {needed / 1e6:.0f} MB of pictures are more than a quarter of the {free / 1e6:.0f} MB free on {device}; "
        f"they stay in main memory, and batches travel through pinned memory",
        stacklevel=2,
    )
    return False
