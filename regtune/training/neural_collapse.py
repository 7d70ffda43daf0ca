"""How tightly the classes lie in the features of a network: NC1 and CDNV, from features and labels alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pdist

from regtune.core.records import finite

Pairs = Iterable[tuple[Tensor, Tensor]]  # features [N, d] and labels [N] of one batch after the other


@dataclass(frozen=True, kw_only=True)
class NeuralCollapse:
    """Two numbers without unit, 0 where all examples of a class have the same features; NaN where undefined.

    `nc1` is tr(Sigma_W Sigma_B^+) / K over the K classes that there are, ^+ the pseudo-inverse: Sigma_W is the
    mean over examples of (h - mu_c)(h - mu_c)^T, with features h and the mean mu_c of their class, Sigma_B the
    mean over classes of (mu_c - mu_G)(mu_c - mu_G)^T, with the mean mu_G of the class means. Source: V. Papyan,
    X. Y. Han, D. L. Donoho, "Prevalence of Neural Collapse during the Terminal Phase of Deep Learning Training"
    (PNAS 2020). `cdnv` is the mean over pairs of classes of (Var_i + Var_j) / (2 |mu_i - mu_j|^2), Var_c the mean
    squared distance to mu_c. Source: T. Galanti, A. Gyorgy, M. Hutter, "On the Role of Neural Collapse in Transfer
    Learning" (ICLR 2022). Rotations and a common scale of the features change neither.
    """

    nc1: float
    cdnv: float

    def named(self, split: str) -> dict[str, float | None]:
        """Return both as metrics of a split."""
        return {f"{split}_nc1": finite(self.nc1), f"{split}_cdnv": finite(self.cdnv)}


UNDEFINED = NeuralCollapse(nc1=math.nan, cdnv=math.nan)


def neural_collapse(passes: Callable[[], Pairs], classes: int) -> NeuralCollapse:
    """Return how tightly classes lie in their features; computed in float64.

    `passes()` goes through all examples once, batch by batch: features [N, d] and labels [N] (int64, below
    `classes`). It is called twice, for the means and for the distances to them, which loses less to rounding
    than sums of squares would. Beside a batch, classes x d numbers are held, never d x d. Classes
    without examples are left out. Undefined are both numbers with fewer than two classes, where no two means
    differ and for features that are not finite; `cdnv` also where any two means coincide. Means coincide, and
    the pseudo-inverse leaves a direction out, where they differ by less than sqrt(max(K, d)) eps |means|: what
    rounding of the features themselves may leave. eps is that of their type, for bfloat16 that of float32,
    since its own would hide what differs.
    """
    counts, means, eps = _means(passes(), classes)
    present = counts > 0
    centers = means[present].cpu()  # so that a GPU has the decomposition of a CPU
    if len(centers) < 2 or not centers.isfinite().all():
        return UNDEFINED
    # In proportion to the means and not to their differences, as the rounding of features is.
    rounding = math.sqrt(max(centers.shape)) * eps * centers.norm()
    _, lengths, axes = torch.linalg.svd(centers - centers.mean(0), full_matrices=False)
    # Means around their mean span at most K - 1 dimensions, whatever rounding makes of the last one.
    rank = min(int((lengths > rounding).sum()), len(centers) - 1)
    if rank == 0:
        return UNDEFINED
    variances, along = _scatter(passes(), means, counts, axes[:rank].to(means.device))
    # With M = U diag(lengths) axes, the K centered means, Sigma_B is M^T M / K: K of the inverse cancels 1 / K.
    nc1 = (along.cpu() / lengths[:rank].square()).sum().item()
    gaps, (i, j) = pdist(centers), torch.triu_indices(len(centers), len(centers), 1)
    if (gaps <= rounding).any():
        return NeuralCollapse(nc1=nc1, cdnv=math.nan)
    own = variances[present].cpu()
    return NeuralCollapse(nc1=nc1, cdnv=((own[i] + own[j]) / (2 * gaps.square())).mean().item())


def _means(pairs: Pairs, classes: int) -> tuple[Tensor, Tensor, float]:
    """Return how many examples each class has [classes], their mean features [classes, d], 0 without any, and eps."""
    eps = torch.finfo(torch.float64).eps
    counts, sums = torch.zeros(classes, 1, dtype=torch.float64), torch.zeros(classes, 1, dtype=torch.float64)
    for features, labels in pairs:
        belongs = _belongs(labels, classes, features.device)
        eps = max(eps, min(torch.finfo(features.dtype).eps, torch.finfo(torch.float32).eps))
        counts = counts.to(features.device) + belongs.sum(1, keepdim=True)
        sums = sums.to(features.device) + belongs @ features.double()
    return counts[:, 0], sums / counts.clamp_min(1), eps


def _scatter(pairs: Pairs, means: Tensor, counts: Tensor, axes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance of each class [classes] and, per axis [rank, d], the mean square along it [rank]."""
    squares, along = torch.zeros_like(counts), torch.zeros_like(axes[:, 0])
    for features, labels in pairs:
        belongs = _belongs(labels, len(means), features.device)
        off = features.double() - means[labels.to(means.device)]
        squares = squares + belongs @ off.square().sum(1)
        along = along + (off @ axes.T).square().sum(0)
    return squares / counts.clamp_min(1), along / counts.sum()


def _belongs(labels: Tensor, classes: int, device: torch.device) -> Tensor:
    """Return 1 where an example is of a class, else 0 [classes, N]: sums by products are the same every time."""
    return one_hot(labels.to(device), classes).T.double()
