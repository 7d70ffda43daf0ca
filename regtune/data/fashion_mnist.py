"""Fashion-MNIST: articles of clothing, 28x28 grey, 60,000 + 10,000."""

from __future__ import annotations

from dataclasses import dataclass

from regtune.data._idx import Idx, idx_files


@dataclass(frozen=True, kw_only=True)
class FashionMnist(Idx):
    """28x28 grey images of ten kinds of clothing, 60,000 + 10,000, in the original IDX files.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms" (2017).
    """

    files = idx_files("FashionMNIST")
    publisher = "FashionMNIST"
