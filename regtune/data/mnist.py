"""MNIST: handwritten digits, 28x28 grey, 60,000 + 10,000."""

from __future__ import annotations

from dataclasses import dataclass

from regtune.data._idx import Idx, idx_files


@dataclass(frozen=True, kw_only=True)
class Mnist(Idx):
    """28x28 grey images of ten handwritten digits, 60,000 + 10,000, in the original IDX files.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
    Recognition" (Proc. IEEE 1998).
    """

    files = idx_files("MNIST")
    publisher = "MNIST"
