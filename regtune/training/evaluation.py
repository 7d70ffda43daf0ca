"""Clean metrics: hard labels, eval mode, no augmentation, the same for every arm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from regtune.core.metric import CLASSWISE
from regtune.core.records import finite
from regtune.core.state import Tensors, weights
from regtune.data import Examples, Splits, pixels
from regtune.networks import without_heads
from regtune.training.classwise import classwise as mean_over_classes
from regtune.training.features import features_of
from regtune.training.neural_collapse import Pairs
from regtune.training.neural_collapse import neural_collapse as tightness_of
from regtune.training.train_step import Knobs, TrainStep

_ROWS = 256  # examples per forward pass, so that activations are as large as in training; part of what decides the bits
BINS = 15


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What there is to say of one member's network on a split.

    `accuracy` is a fraction, `loss` the negative log-likelihood in nats per example, `ece` the expected
    calibration error; `right` [N] says which examples it was right about. `classwise` has the metrics of
    `metric.CLASSWISE` by name where they were asked for, NaN where one is undefined.
    """

    accuracy: float
    loss: float
    ece: float
    right: Tensor
    classwise: Mapping[str, float]

    def named(self, split: str) -> dict[str, float | None]:
        """Return accuracy and loss as metrics of a split."""
        return {f"{split}_accuracy": self.accuracy, f"{split}_loss": finite(self.loss)}


class Measured(NamedTuple):
    """Accuracy as a fraction, negative log-likelihood in nats per example, and the metric that was asked for.

    That is NaN where there is none, or where it is undefined.
    """

    accuracy: float
    loss: float
    asked: float


def measure(
    train_step: TrainStep, params: Tensors, buffers: Tensors, knobs: Knobs, examples: Examples, metric: str = ""
) -> list[Measured]:
    """Return what is measured after every epoch of each member; `metric` is one of `metric.CLASSWISE`, or empty."""
    correct, loss, answers = torch.zeros(()), torch.zeros(()), list[Tensor]()
    for logits, labels in _answers(train_step, params, buffers, knobs, examples):
        likelihood, right = _judged(logits, labels)
        answers += [logits] if metric else []
        correct = correct + right.double().sum(-1)
        loss = loss - likelihood.sum(-1)
    pairs = torch.stack([correct, loss], -1).reshape(-1, 2) / len(examples)
    asked = [math.nan] * len(pairs)
    if metric:
        every = torch.cat(answers, -2)
        every, truth = every.reshape(-1, *every.shape[-2:]), examples.labels.cpu()
        own = truth.expand(len(every), -1)  # members of a lane may have splits of their own
        asked = [mean_over_classes(metric, every[k], own[k]) for k in range(len(every))]
    return [Measured(row[0].item(), row[1].item(), value) for row, value in zip(pairs, asked, strict=True)]


def evaluate(
    train_step: TrainStep,
    params: Tensors,
    buffers: Tensors,
    knobs: Knobs,
    examples: Examples,
    *,
    count: int = 1,
    classwise: bool = False,
) -> list[Evaluation]:
    """Return what `measure` does of the first `count` members, and how far their confidence can be trusted.

    With `classwise` the metrics over classes too, for which all logits are held in memory.
    """
    loss, rights, confidences, answers = torch.zeros(()), [], [], list[Tensor]()
    for logits, labels in _answers(train_step, params, buffers, knobs, examples, count):
        likelihood, right = _judged(logits, labels)
        loss = loss - likelihood.sum(-1)
        rights.append(right)
        answers += [logits] if classwise else []
        confidences.append(logits.softmax(-1).amax(-1))
    right, confidence = (torch.cat(parts, -1).reshape(-1, len(examples)) for parts in (rights, confidences))
    every = torch.cat(answers, -2).reshape(len(right), len(examples), -1) if classwise else None
    own = examples.labels if examples.labels.ndim > 1 else examples.labels.expand(count, -1)
    truth, losses = own.cpu(), (loss / len(examples)).reshape(-1)
    return [
        Evaluation(
            accuracy=(right[k].double().sum() / len(examples)).item(),
            loss=losses[k].item(),
            ece=calibration_error(confidence[k], right[k]),
            right=right[k],
            classwise={}
            if every is None
            else {name: mean_over_classes(name, every[k], truth[k]) for name in CLASSWISE},
        )
        for k in range(count)
    ]


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Return the expected calibration error of answers given with these confidences (float64, [N]).

    The mean of |accuracy - mean confidence| over 15 bins of equal width, (0, 1/15], (1/15, 2/15], ..., each
    counted by its answers. Source: C. Guo et al., "On Calibration of Modern Neural Networks" (2017).
    """
    inner = torch.linspace(0, 1, BINS + 1, dtype=confidence.dtype)[1:-1]
    gaps = torch.zeros(BINS, dtype=confidence.dtype)
    gaps.index_add_(0, torch.bucketize(confidence, inner), right.to(confidence.dtype) - confidence)
    return (gaps.abs().sum() / len(right)).item()


def sizes(params: Tensors, begun: Tensors) -> dict[str, float]:
    """Return what the weights proper say (no biases, no scales of normalization layers, no heads of other tasks).

    `weight_norm` is their Euclidean length, `zero_share` the share of exact zeros among them, `distance` the
    Euclidean length of what they differ by from those of the beginning.
    """

    def flat(tensors: Tensors) -> Tensor:
        own = weights(without_heads(tensors))
        return torch.cat([value.double().reshape(-1) for value in own.values()] or [torch.zeros(0)])

    end, start = flat(params), flat(begun)
    return {
        "weight_norm": end.norm().item(),
        "zero_share": (end == 0).double().mean().item(),
        "distance": (end - start).norm().item(),
    }


def evaluate_collapse(
    train_step: TrainStep, params: Tensors, buffers: Tensors, knobs: Knobs, data: Splits
) -> dict[str, float | None]:
    """Return how tightly the classes of training and validation split lie in what flows into the last layer.

    The metrics are those of `neural_collapse.NeuralCollapse`, with labels as the splits have them, for one network.
    Each split is evaluated twice.
    """

    def passes(examples: Examples) -> Pairs:
        with features_of(train_step.net, data.classes) as features:
            for logits, labels in _answers(train_step, params, buffers, knobs, examples):
                yield features(logits), labels

    train = tightness_of(lambda: passes(data.train), data.classes)
    val = tightness_of(lambda: passes(data.validation), data.classes)
    return train.named("train") | val.named("val")


def _answers(
    train_step: TrainStep, params: Tensors, buffers: Tensors, knobs: Knobs, examples: Examples, count: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits [..., N, classes] in float64 and labels [..., N], both on the CPU, batch by batch.

    Of members those of the first `count`.
    """
    dtype = next(iter(params.values())).dtype
    own = examples.labels.ndim > 1  # members with splits of their own have labels of their own
    train_step.net.eval()
    for images, labels in examples.batches(_ROWS).labelled():
        logits = train_step.logits(params, buffers, knobs, pixels(images, dtype))
        logits = logits[:count] if train_step.lifted else logits
        yield logits.double().cpu(), (labels[:count] if own else labels).cpu()
    train_step.net.train()


def _judged(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-likelihood of each label and whether it is the answer."""
    chosen = logits.log_softmax(-1).gather(-1, labels.expand(logits.shape[:-1])[..., None])[..., 0]
    # A class counts as the answer only where it is strictly the largest: NaN is never right.
    return chosen, (logits.argmax(-1) == labels).logical_and(chosen.isfinite())
