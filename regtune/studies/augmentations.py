"""A contact sheet of the augmentations: what they make of photographs, and how much they change."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from regtune.augmentation import OPERATIONS, Operation, draw_operations
from regtune.core.rng import Rng
from regtune.data import DataLocation
from regtune.regularizers import CutMix, Cutout, Mixup, RandAugment, RandomErasing, Regularizer, Step
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._noise import noise_of
from regtune.studies._pictures import DIGITS, PHOTOS, pairs
from regtune.studies._sheets import Shot, sheet_of

MAGNITUDES, LAST = (1, 3, 5, 7, 9), 10
SHOWN, DRAWS, SMALL = 6, 5_000, 32
SIGMAS = 4  # standard errors within which a share of draws is as it should be
UNTOUCHED = frozenset(OPERATIONS) - {"AutoContrast", "Equalize", "Solarize"}  # at magnitude 0


@dataclass(frozen=True, kw_only=True)
class Augmentations(Study):
    """RandAugment draws N of 14 operations, all of magnitude M; mixup, CutMix, cutout and random erasing.

    With mixup x' = λ xᵢ + (1 - λ) xⱼ and y' = λ yᵢ + (1 - λ) yⱼ, λ ~ Beta(α, α). CutMix pastes a box of xⱼ with sides
    √(1 - λ) of those of xᵢ and counts in y' the area that is left in the picture. Cutout blackens a square around any
    pixel, random erasing fills a rectangle inside of a share p of the pictures. Measured: the product's operations
    beside torchvision's on photographs, at three magnitudes; which of them do nothing at M = 0; the share of λ in
    pixels beside the one in targets; areas beside the means over all places of a box. Drawn on photographs and digits
    that come with scikit-learn, and on Fashion-MNIST and CIFAR-10 in the data folder. Sources: E. Cubuk et al.,
    "RandAugment" (NeurIPS 2020); H. Zhang et al., "mixup" (ICLR 2018); S. Yun et al., "CutMix" (ICCV 2019);
    T. DeVries, G. Taylor, "Cutout" (2017); Z. Zhong et al., "Random Erasing" (AAAI 2020).
    """

    title: ClassVar[str] = "Augmentations: a contact sheet"
    place: ClassVar[int] = 130

    def run(self) -> Findings:
        """Compare what they do, and draw it."""
        sources = dict(pairs(DataLocation.from_environment()))
        found = {name: both for name, both in sources.items() if isinstance(both, Tensor)}
        photos = found.get(PHOTOS, found[DIGITS])
        sheets = {name: _operations(both[:1]) for name, both in found.items()}
        sheet = sheets[PHOTOS if PHOTOS in found else DIGITS]
        shares = draw_operations(noise_of("augmentations"), 1, DRAWS).operation[0].bincount(minlength=len(OPERATIONS))
        white = float((sheets[DIGITS]["Solarize", 0] != found[DIGITS][0]).double().mean())
        return Findings(
            comparisons=[
                *(_beside_torchvision(photos[:1], sheet) if importlib.util.find_spec("torchvision") else []),
                Comparison(
                    what=f"{len(UNTOUCHED)} operations at M = 0 beside the picture",
                    theory=torch.stack([photos[0]] * len(UNTOUCHED)).numpy(),
                    measured=torch.stack([sheet[name, 0] for name in sorted(UNTOUCHED)]).numpy(),
                    tolerance=0,
                ),
                Comparison(
                    what=f"share of each of the 14 operations in {DRAWS:,} draws",
                    theory=[1 / len(OPERATIONS)] * len(OPERATIONS),
                    measured=(shares.double() / DRAWS).numpy(),
                    tolerance=SIGMAS * _standard_error(1 / len(OPERATIONS)),
                ),
                *_mixing(photos),
                *_occlusion(),
            ],
            sentences=[
                f"AutoContrast and Equalize have no strength. Solarize inverts levels from 255 (1 - M / 10) on, so at "
                f"M = 0 it makes white black: {100 * white:.1f} % of the pixels of the digit that is drawn.",
                *(f"Left out, {name}: {why}." for name, why in sources.items() if isinstance(why, str)),
            ],
            charts=[
                *(_policy_sheet(name, made) for name, made in sheets.items()),
                *(_mixing_sheet(name, both) for name, both in found.items()),
            ],
        )


@dataclass(frozen=True, kw_only=True)
class _Chosen(Rng):
    """Noise that draws one operation, with a positive sign."""

    seed: int | Tensor = 0
    operation: int

    def host(self) -> None:
        """Have no draws on the host."""
        return

    def below(self, n: int, site: str, shape: Sequence[int] = ()) -> Tensor:
        """Return the operation, whatever the site: RandAugment draws it and its sign as one number."""
        return torch.full(tuple(shape), 2 * self.operation)


def _operated(x: Tensor, name: str, magnitude: int) -> Tensor:
    """Return what the product's RandAugment makes of pictures by one operation."""
    step = Step(noise=_Chosen(operation=Operation[name].value), progress=0.0, learning_rate=0.0)
    return RandAugment(num_ops=1, magnitude=float(magnitude)).augment(x, torch.zeros(len(x), 1), step)[0]


def _operations(x: Tensor) -> dict[tuple[str, int], Tensor]:
    """Return what every operation makes of a picture [1, C, H, W], by name and magnitude."""
    return {(name, m): _operated(x, name, m)[0] for name in OPERATIONS for m in (0, *MAGNITUDES)}


def _step(name: str) -> Step:
    return Step(noise=noise_of("augmentations").at(name), progress=0.0, learning_rate=0.0)


def _beside_torchvision(photo: Tensor, sheet: Mapping[tuple[str, int], Tensor]) -> list[Comparison]:
    levels = (photo[0] * 255).round().byte()
    at = [(name, magnitude) for name in OPERATIONS for magnitude in (1, 5, 9)]
    theirs = torch.stack([_torchvisions(levels, name, magnitude / LAST) for name, magnitude in at]).double()
    ours = torch.stack([sheet[each] for each in at]).double().mul(255).round()
    return [
        Comparison(
            what="14 operations at M = 1, 5, 9 beside torchvision's, in levels of 255",
            theory=theirs.numpy(),
            measured=ours.numpy(),
            tolerance=1,  # torchvision blends in float32 in another order
        ),
        Comparison(
            what="share of levels that differ from torchvision's",
            theory=0,
            measured=float((theirs != ours).double().mean()),
            tolerance=1e-3,
        ),
    ]


def _torchvisions(levels: Tensor, name: str, share: float) -> Tensor:
    """Return what torchvision makes of a picture of uint8 levels at a share of the paper's scale."""
    from torchvision.transforms.v2 import functional

    factor, shift = 1 + 0.9 * share, int(150 / 331 * levels.shape[2] * share)
    shear, corner = math.degrees(math.atan(0.3 * share)), [0.0, 0.0]
    straight: list[float] = [0.0, 0.0]
    made: dict[str, Callable[[], Tensor]] = {
        "Identity": lambda: levels,
        "AutoContrast": lambda: functional.autocontrast(levels),
        "Equalize": lambda: functional.equalize(levels),
        "Rotate": lambda: functional.rotate(levels, 30 * share),
        "Solarize": lambda: functional.solarize(levels, 255 * (1 - share)),
        "Color": lambda: functional.adjust_saturation(levels, factor),
        "Posterize": lambda: functional.posterize(levels, 8 - round(4 * share)),
        "Contrast": lambda: functional.adjust_contrast(levels, factor),
        "Brightness": lambda: functional.adjust_brightness(levels, factor),
        "Sharpness": lambda: functional.adjust_sharpness(levels, factor),
        "ShearX": lambda: functional.affine(levels, 0.0, [0, 0], 1.0, [shear, 0.0], center=corner),
        "ShearY": lambda: functional.affine(levels, 0.0, [0, 0], 1.0, [0.0, shear], center=corner),
        "TranslateX": lambda: functional.affine(levels, 0.0, [shift, 0], 1.0, straight),
        "TranslateY": lambda: functional.affine(levels, 0.0, [0, shift], 1.0, straight),
    }
    return made[name]()


def _mixing(photos: Tensor) -> list[Comparison]:
    """Compare λ in pixels and in targets, and CutMix's mean share with the one over all boxes."""
    x, y = photos.repeat(32, 1, 1, 1), torch.eye(2).repeat(32, 1)  # the partner is always the other photograph
    mixed, targets = Mixup(alpha=0.4, per="example").augment(x, y, _step("mixup"))
    other = x.roll(1, 0)
    away = (x - other).double()
    in_pixels = ((mixed - other).double() * away).sum((1, 2, 3)) / away.square().sum((1, 2, 3))
    plain = torch.arange(2.0)[:, None, None, None].expand(2, 1, SMALL, SMALL).repeat(DRAWS // 2, 1, 1, 1)
    labels = torch.eye(2).repeat(DRAWS // 2, 1)
    cut, cut_targets = CutMix(prob=1.0, alpha=1.0, per="example").augment(plain, labels, _step("cutmix"))
    kept = (cut == plain).double().mean((1, 2, 3))
    places = [(place + 0.5) / 1_000 for place in range(1_000)]
    mean = sum(1 - _covered(int(SMALL * math.sqrt(1 - share)) // 2) for share in places) / len(places)
    return [
        Comparison(
            what="mixup: λ in pixels beside λ in targets",
            theory=(targets * y).sum(1).numpy(),
            measured=in_pixels.numpy(),
            tolerance=1e-5,
        ),
        Comparison(
            what="CutMix: share of own pixels beside that of the own target",
            theory=(cut_targets * labels).sum(1).numpy(),
            measured=kept.numpy(),
            tolerance=1e-6,
        ),
        Comparison(
            what=f"CutMix, α = 1, {SMALL} x {SMALL} pixels: mean share of the own target",
            theory=mean,
            measured=float(kept.mean()),
            tolerance=SIGMAS * float(kept.std()) / math.sqrt(DRAWS),
        ),
    ]


def _covered(half: int) -> float:
    """Return the mean share of a picture that boxes of this half side cover, over all centres, clipped."""
    inside = [min(SMALL, centre + half) - max(0, centre - half) for centre in range(SMALL)]
    return (sum(inside) / SMALL / SMALL) ** 2


def _occlusion() -> list[Comparison]:
    """Compare how much is hidden."""
    white, none = torch.ones(DRAWS, 1, SMALL, SMALL), torch.zeros(DRAWS, 1)
    hidden = (Cutout(length=16.0).augment(white, none, _step("cutout"))[0] == 0).double().mean((1, 2, 3))
    erased = (RandomErasing(p=0.5).augment(white, none, _step("erasing"))[0] != 1).flatten(1).any(1).double()
    return [
        Comparison(
            what=f"cutout of 16 pixels of {SMALL}: mean share that is black",
            theory=_covered(8),
            measured=float(hidden.mean()),
            tolerance=SIGMAS * float(hidden.std()) / math.sqrt(DRAWS),
        ),
        Comparison(
            what="random erasing, p = 0.5: share of pictures erased",
            theory=0.5,
            measured=float(erased.mean()),
            tolerance=SIGMAS * _standard_error(0.5),
        ),
    ]


def _standard_error(share: float) -> float:
    return math.sqrt(share * (1 - share) / DRAWS)


def _policy_sheet(name: str, made: Mapping[tuple[str, int], Tensor]) -> Drawn:
    shots = [Shot(row=each, column=str(magnitude), picture=picture) for (each, magnitude), picture in made.items()]
    side = shots[0].picture.shape[2]
    return Drawn(
        title=f"RandAugment's 14 operations by magnitude: {name}",
        caption=f"A picture of {side} x {side} pixels after one operation each, on the paper's scale of M from 0 to "
        f"{LAST}; those with a sign have a positive one.",
        chart=sheet_of(shots, columns="M"),
    )


def _mixing_sheet(name: str, both: Tensor) -> Drawn:
    side = both.shape[3]
    methods: dict[str, Regularizer] = {
        "mixup": Mixup(alpha=1.0, per="example"),
        "CutMix": CutMix(prob=1.0, per="example"),
        "cutout": Cutout(length=side / 2),
        "random erasing": RandomErasing(p=1.0),
    }
    batch, targets = both.repeat(SHOWN, 1, 1, 1), torch.eye(2).repeat(SHOWN, 1)
    shots = []
    for each, method in methods.items():
        x, y = method.augment(batch, targets, _step(each))
        shots += [
            Shot(row=each, column=str(at + 1), picture=x[2 * at], words=f"{float(y[2 * at, 0]):.2f}")
            for at in range(SHOWN)
        ]
    return Drawn(
        title=f"Mixing and hiding: {name}",
        caption=f"{SHOWN} draws each of mixup and CutMix (α = 1) with another picture, of cutout with half of the "
        "side, and of random erasing. Numbers: the target that the picture keeps, λ.",
        chart=sheet_of(shots, columns="draw"),
    )
