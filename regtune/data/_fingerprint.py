"""A fingerprint of a data set: whether trials of two logs had the same pictures and labels before them."""

from __future__ import annotations

import zlib

import torch

from regtune.data._splits import Pool


def data_fingerprint(pool: Pool) -> str:
    """Return checksums over all examples of a pool, their order and their labels included."""
    parts = [part for part in (pool.train, pool.test, pool.others) if part is not None]
    tensors = [tensor for part in parts for tensor in (part.source, part.index, part.labels)]
    others = " others" if pool.others is not None else ""
    seal = zlib.crc32(f"{pool.classes} {len(parts)}{others}".encode())
    sums = []
    for tensor in tensors:
        seal = zlib.crc32(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), seal)
        sums.append(zlib.crc32(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data, seal))
    return "".join(f"{each:08x}" for each in (seal, *sums))
