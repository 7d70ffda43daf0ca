"""Metrics that are means over classes, in which a rare class counts as much as a frequent one.

Definitions are scikit-learn's. Where a class has no example of its own in a split they are undefined: a mean over the
others would be of another quantity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor


def classwise(name: str, logits: Tensor, labels: Tensor) -> float:
    """Return one of `metric.CLASSWISE` of logits [N, C] (float64) and labels [N] (int64), from 0 to 1.

    NaN where a class has no examples; AUROC also where a logit is NaN, since nothing can be ranked then.
    """
    if bool((_counts(labels, logits.shape[-1]) == 0).any()):
        return math.nan
    return _BY_NAME[name](logits, labels)


def lacking(labels: Tensor, classes: int) -> list[int]:
    """Return the classes, from 0 to below `classes`, of which labels [N] have none."""
    return [int(number) for number in (_counts(labels, classes) == 0).nonzero()[:, 0]]


def _balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the mean recall (K. H. Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution", 2010)."""
    classes = logits.shape[-1]
    hits = _counts(labels[_answers(logits) == labels], classes)
    return (hits / _counts(labels, classes)).mean().item()


def _macro_f1(logits: Tensor, labels: Tensor) -> float:
    """Return the mean over classes of 2 TP / (2 TP + FP + FN)."""
    classes, answers = logits.shape[-1], _answers(logits)
    hits, given = _counts(labels[answers == labels], classes), _counts(answers[answers >= 0], classes)
    return (2 * hits / (given + _counts(labels, classes))).mean().item()


def _auroc(logits: Tensor, labels: Tensor) -> float:
    """Return the mean over classes of the area under the ROC curve of each against the rest, by its probability.

    Of two classes it is that of the second, which is that of the first. The area is the share of pairs (one of the
    class, one of the rest) in which the first has more, ties half (J. A. Hanley, B. J. McNeil, 1982).
    """
    probabilities = logits.softmax(-1)
    if bool(probabilities.isnan().any()):
        return math.nan
    classes = logits.shape[-1]
    among = range(1, 2) if classes == 2 else range(classes)
    return sum(_area(probabilities[:, k], labels == k) for k in among) / len(among)


def _area(scores: Tensor, positive: Tensor) -> float:
    """Return the area under the ROC curve of scores [N] by the ranks of the positives, ties at their mean rank."""
    _, places, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0).double() - (counts.double() - 1) / 2)[places]
    some, rest = int(positive.sum()), int((~positive).sum())
    return float(ranks[positive].sum() - some * (some + 1) / 2) / (some * rest)


def _answers(logits: Tensor) -> Tensor:
    """Return the answers [N], -1 where the largest probability is not finite: NaN is never right."""
    likeliest = logits.log_softmax(-1).max(-1)
    return torch.where(likeliest.values.isfinite(), likeliest.indices, -1)


def _counts(labels: Tensor, classes: int) -> Tensor:
    return torch.bincount(labels, minlength=classes).double()


_BY_NAME: Mapping[str, Callable[[Tensor, Tensor], float]] = MappingProxyType(
    {"balanced_accuracy": _balanced_accuracy, "macro_f1": _macro_f1, "auroc": _auroc}
)
