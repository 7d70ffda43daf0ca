"""What the two CIFAR data sets share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from regtune.data._examples import Examples


def cifar_checksums(published: Any) -> dict[str, str]:
    """Return the MD5 of every file of a torchvision CIFAR class, by name."""
    return dict([*published.train_list, *published.test_list, (published.meta["filename"], published.meta["md5"])])


def cifar_part(part: Any, labels: Sequence[int]) -> Examples:
    """Return the examples of a torchvision CIFAR object, whose `data` are uint8 [N, H, W, C]."""
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return Examples.of(images=images, labels=torch.tensor(labels, dtype=torch.int64))
