"""Augmentation: the operations at all magnitudes, and what mixing and erasing do to pictures and targets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regtune.augmentation import OPERATIONS, Draws, augmented, draw_operations, strengths
from regtune.data import DataLocation
from regtune.regularizers import Regularizer, Step
from regtune.regularizers.cutmix import CutMix
from regtune.regularizers.cutout import Cutout
from regtune.regularizers.mixup import Mixup
from regtune.regularizers.rand_augment import LAST, ranges_of
from regtune.regularizers.random_erasing import RandomErasing
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._noise import noise_of
from regtune.studies._pictures import digits, pairs
from regtune.studies._sheets import Shot, sheet

MAGNITUDES = (0, 2, 4, 6, 8, 10)
PLAIN = ("AutoContrast", "Equalize")  # have no magnitude, and are no identity
COUNT, DRAWS, SHOWN = 64, 10_000, 6
SIDE, LENGTH = 32, 16  # pictures of CIFAR-10, and the square of cutout there
ALPHAS = (0.2, 1.0)
ERASING = RandomErasing()  # the shares of areas and the aspect ratio that it has by default
GRID = 1000


@dataclass(frozen=True, kw_only=True)
class Augmentations(Study):
    """Fourteen operations at a magnitude M of 0 to 10, and mixup, CutMix, cutout and random erasing, on real pictures.

    At M = 0 an operation is the identity, but for AutoContrast and Equalize, which have no magnitude, and Solarize,
    which inverts the level 255. At M = 10 Solarize inverts, Posterize keeps 4 of 8 bits, a factor is 1 + 0.9, and a
    shift is 150 / 331 of the side in whole pixels. Operations are drawn uniformly, 1 / 14 each. Mixup: x = λ xᵢ +
    (1 - λ) xⱼ, with the same λ in the targets, Var λ = 1 / (4 (2α + 1)). CutMix: the target has the area of the box
    that was really pasted; with λ uniform xᵢ keeps 0.70 of a picture of 32 x 32, not 0.50, since boxes are clipped.
    Cutout with a square of 16 hides 196 of the 1,024 pixels on average, not 256. Measured with the product's methods.
    Source: E. Cubuk et al., "RandAugment" (NeurIPS 2020); H. Zhang et al., "mixup" (ICLR 2018); S. Yun et al.,
    "CutMix" (ICCV 2019); T. DeVries, G. Taylor, "Cutout" (2017); Z. Zhong et al., "Random Erasing" (AAAI 2020).
    """

    title: ClassVar[str] = "Augmentation: a contact sheet, and what mixing does"
    place: ClassVar[int] = 140

    def run(self) -> Findings:
        """Apply everything to digits and to white pictures, and draw the sheets of every source of pictures."""
        sources = dict(pairs(DataLocation.from_environment()))
        pictures = {name: both for name, both in sources.items() if isinstance(both, Tensor)}
        return Findings(
            comparisons=[*_operations(), *_mixing(), *_boxes(), *_erasing()],
            sentences=[f"Left out, {name}: {why}." for name, why in sources.items() if isinstance(why, str)],
            charts=[
                draw(name, both)
                for draw in (_sheet_of_operations, _sheet_of_methods)
                for name, both in pictures.items()
            ],
        )


def _applied(pictures: Tensor, operation: Tensor, magnitude: Tensor) -> Tensor:
    """Return pictures [N, C, H, W] after an operation each, at magnitudes on the paper's scale, both [N]."""
    drawn = Draws(operation=operation[None], negative=torch.zeros(1, len(pictures), dtype=torch.bool), seen=None)
    ranges = ranges_of("paper", *pictures.shape[2:])
    return augmented(pictures, drawn, strengths(ranges, drawn.operation, magnitude[None].float(), drawn.negative))


def _levels(name: str, magnitude: int, pictures: Tensor) -> NDArray[np.floating]:
    """Return the levels that the product makes of pictures."""
    count = len(pictures)
    operation, place = torch.full((count,), OPERATIONS.index(name)), torch.full((count,), magnitude)
    return (_applied(pictures, operation, place) * 255).round().numpy()


def _operations() -> list[Comparison]:
    pictures = digits(COUNT)
    before = (pictures * 255).round().numpy()
    still = [name for name in OPERATIONS if name not in (*PLAIN, "Solarize")]
    moved = int(150 / 331 * before.shape[3])
    mean = before.mean((2, 3), keepdims=True)
    right, down = np.zeros_like(before), np.zeros_like(before)
    right[..., moved:], down[:, :, moved:] = before[..., :-moved], before[:, :, :-moved]
    least, most = before.min((2, 3), keepdims=True), before.max((2, 3), keepdims=True)
    theory = {"Solarize": 255 - before, "Posterize": before // 16 * 16, "TranslateX": right, "TranslateY": down}
    factors = {"Brightness": 1.9 * before, "Contrast": 1.9 * before - 0.9 * mean}
    ramp = torch.arange(256).view(1, 1, 16, 16) / 255
    drawn = draw_operations(noise_of("augmentations"), 1, DRAWS)
    share = np.bincount(drawn.operation[0].numpy(), minlength=len(OPERATIONS)) / DRAWS
    return [
        Comparison(
            what=f"{len(still)} operations at M = 0: levels as before",
            theory=np.stack([before] * len(still)),
            measured=np.stack([_levels(name, 0, pictures) for name in still]),
            tolerance=0,
        ),
        Comparison(
            what="Solarize at M = 0: 255 becomes 0, no other level changes",
            theory=np.where(before == 255, 0, before),
            measured=_levels("Solarize", 0, pictures),
            tolerance=0,
        ),
        Comparison(
            what=f"{', '.join(theory)} at M = 10, in levels",
            theory=np.stack([*theory.values()]),
            measured=np.stack([_levels(name, 10, pictures) for name in theory]),
            tolerance=0,
        ),
        Comparison(
            what=f"{' and '.join(factors)} at M = 10, in levels, fractions dropped",
            theory=np.stack([value.clip(0, 255) for value in factors.values()]),
            measured=np.stack([_levels(name, 10, pictures) for name in factors]),
            tolerance=1,
        ),
        Comparison(
            what="AutoContrast: from 0 to 255, in levels, fractions dropped",
            theory=(before - least) * 255 / (most - least),
            measured=_levels("AutoContrast", 0, pictures),
            tolerance=1,
        ),
        Comparison(
            what="Equalize leaves a picture with every level once",
            theory=np.arange(256),
            measured=_levels("Equalize", 0, ramp).ravel(),
            tolerance=0,
        ),
        Comparison(
            what="share of each operation, 1 / 14, and of a negative sign, 1 / 2, in standard errors",
            theory=[0.0] * (len(OPERATIONS) + 1),
            measured=[*(_errors(share, 1 / len(OPERATIONS))), *_errors(drawn.negative.double().mean(1).numpy(), 0.5)],
            tolerance=4,
        ),
    ]


def _errors(share: NDArray[np.floating], expected: float) -> NDArray[np.floating]:
    """Return by how many standard errors shares of all draws are off."""
    return (share - expected) / math.sqrt(expected * (1 - expected) / DRAWS)


def _done(method: Regularizer, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a method makes of pictures and targets."""
    noise = noise_of("augmentations").at(type(method).__name__)
    return method.augment(x, y, Step(noise=noise, progress=0.0, learning_rate=0.0))


def _mixing() -> list[Comparison]:
    pictures = digits(COUNT)
    mixed, targets = _done(Mixup(alpha=1.0, per="example"), pictures, torch.eye(COUNT))
    shares = [_share(Mixup(alpha=alpha, per="example")) for alpha in ALPHAS]
    return [
        Comparison(
            what="mixup: pictures are those that the targets name, by their weights",
            theory=targets @ pictures.flatten(1),
            measured=mixed.flatten(1),
            tolerance=1e-6,
        ),
        Comparison(
            what="mixup: variance of λ for α = 0.2 and 1",
            theory=[1 / (4 * (2 * alpha + 1)) for alpha in ALPHAS],
            measured=[float(share.var()) for share in shares],
            tolerance=4 * 0.125 / math.sqrt(DRAWS),  # (λ - 1/2)² lies in [0, 1/4]
        ),
    ]


def _share(method: Regularizer) -> Tensor:
    """Return the weights of examples in their own targets, one draw for each of many."""
    own = torch.arange(DRAWS).remainder(2).double()  # targets 0 and 1 in turn, so that a partner has the other one
    _, y = _done(method, torch.zeros(DRAWS, 1, 1, 1), torch.stack([own, 1 - own], -1))
    return (y * torch.stack([own, 1 - own], -1)).sum(-1)


def _boxes() -> list[Comparison]:
    white = torch.arange(DRAWS).remainder(2).float()
    x = white.view(-1, 1, 1, 1).expand(-1, 1, SIDE, SIDE)
    mixed, y = _done(CutMix(prob=1.0, per="example"), x, torch.stack([white, 1 - white], -1))
    pasted = (mixed != x).double().mean((1, 2, 3))
    # A box of half side k has int(32 √(1 - λ)) of 2k or 2k + 1: of uniform λ that is (8k + 4) / 32² of all.
    chance = [(8 * half + 4) / SIDE**2 for half in range(SIDE // 2)]
    area = sum(p * _mean_side(half) ** 2 for half, p in enumerate(chance)) / SIDE**2
    hidden = 1 - _done(Cutout(length=float(LENGTH)), torch.ones(DRAWS, 1, SIDE, SIDE), y)[0].double()
    return [
        Comparison(
            what="CutMix: the share of the partner in the target is the area that was pasted",
            theory=pasted,
            measured=1 - (y * torch.stack([white, 1 - white], -1)).sum(-1),
            tolerance=1e-6,
        ),
        Comparison(
            what=f"CutMix: mean of what a picture keeps, {1 - area:.4f}, in standard errors",
            theory=0,
            measured=_off(1 - pasted, 1 - area),
            tolerance=4,
        ),
        Comparison(
            what=f"cutout: mean of hidden pixels, {_mean_side(LENGTH // 2) ** 2:.0f}, in standard errors",
            theory=0,
            measured=_off(hidden.sum((1, 2, 3)), _mean_side(LENGTH // 2) ** 2),
            tolerance=4,
        ),
    ]


def _mean_side(half: int) -> float:
    """Return the mean length of what is left of `half` pixels to both sides of a centre anywhere in a picture."""
    return sum(min(at + half, SIDE) - max(at - half, 0) for at in range(SIDE)) / SIDE


def _off(values: Tensor, expected: float) -> float:
    """Return by how many standard errors a mean is off."""
    return float((values.mean() - expected) / (values.std() / math.sqrt(len(values))))


def _erasing() -> list[Comparison]:
    x = torch.full((DRAWS, 1, SIDE, SIDE), 2.0)  # a level that nothing is erased with
    erased = (_done(ERASING, x, torch.ones(DRAWS, 1))[0] != x).double().mean((1, 2, 3))
    low, high, ratio = float(ERASING.area_low), float(ERASING.area_high), float(ERASING.ratio)
    middles = (np.arange(GRID) + 0.5) / GRID
    area = (low + (high - low) * middles)[:, None]
    aspect = np.exp((2 * middles - 1) * -math.log(ratio))[None]
    tall, wide = ((SIDE * np.sqrt(area * factor)).round() for factor in (aspect, 1 / aspect))
    fits = (tall < SIDE) & (wide < SIDE)
    expected = float((tall * wide)[fits].mean()) / SIDE**2
    return [
        Comparison(
            what=f"random erasing: share of erased pictures, {float(ERASING.p):g}, in standard errors",
            theory=0,
            measured=_errors(np.array([float((erased > 0).double().mean())]), float(ERASING.p)),
            tolerance=4,
        ),
        Comparison(
            what=f"random erasing: mean area where one is, {expected:.4f}, in standard errors",
            theory=0,
            measured=_off(erased[erased > 0], expected),
            tolerance=4,
        ),
    ]


def _sheet_of_operations(name: str, both: Tensor) -> Drawn:
    cells = [(operation, magnitude) for operation in range(len(OPERATIONS)) for magnitude in MAGNITUDES]
    operation, magnitude = torch.tensor(cells).T
    done = _applied(both[:1].expand(len(cells), *both.shape[1:]), operation, magnitude)
    shots = [
        Shot(row=OPERATIONS[number], column=str(m), picture=picture)
        for (number, m), picture in zip(cells, done, strict=True)
    ]
    return Drawn(
        title=f"Fourteen operations: {name}",
        caption=f"A picture of {both.shape[3]} x {both.shape[2]} after each operation, at magnitudes on the scale of "
        f"the paper, which ends at {LAST['paper']}. Rotations, shears, shifts and factors are drawn with a sign: these "
        "are the positive ones.",
        chart=sheet(shots, columns="magnitude M"),
    )


def _sheet_of_methods(name: str, both: Tensor) -> Drawn:
    side = both.shape[3]
    methods: dict[str, tuple[Regularizer, Callable[[float], str]]] = {
        "mixup": (Mixup(alpha=1.0, per="example"), "{:.2f}".format),
        "CutMix": (CutMix(prob=1.0, per="example"), "{:.2f}".format),
        "cutout": (Cutout(length=side / 2), lambda own: ""),
        "random erasing": (RandomErasing(p=1.0), lambda own: ""),
    }
    shots = []
    for method, (made, words) in methods.items():
        pictures, targets = _done(made, both.repeat(SHOWN, 1, 1, 1), torch.eye(2).repeat(SHOWN, 1))
        shots += [
            Shot(row=method, column=str(at + 1), picture=pictures[2 * at], words=words(float(targets[2 * at, 0])))
            for at in range(SHOWN)
        ]
    return Drawn(
        title=f"Mixing and erasing: {name}",
        caption=f"A picture after {SHOWN} draws of each method, mixed with another one. Numbers: its own share of the "
        f"target. Mixup and CutMix have α = 1, the square of cutout {side // 2} pixels before it is clipped.",
        chart=sheet(shots, columns="draw"),
    )
