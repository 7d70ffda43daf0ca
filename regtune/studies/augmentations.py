"""A contact sheet of the augmentations: what they make of photographs, and how much they change."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import altair as alt
import pandas as pd
import torch
from torch import Tensor

from regtune.augmentation import OPERATIONS, Operation, draw_operations
from regtune.core.rng import Rng
from regtune.regularizers import CutMix, Cutout, Mixup, RandAugment, RandomErasing, Regularizer, Step
from regtune.studies._base import Comparison, Drawn, Findings, Study
from regtune.studies._noise import noise_of

SIDE = 80  # pixels of a picture
MAGNITUDES, LAST = (1, 3, 5, 7, 9), 10
SHOWN, DRAWS, SMALL = 6, 5_000, 32
CELL, TEXT = 84, 16  # pixels of a picture on the sheet, and of a line below it
SIGMAS = 4  # standard errors within which a share of draws is as it should be
UNTOUCHED = frozenset(OPERATIONS) - {"AutoContrast", "Equalize", "Solarize"}  # at magnitude 0


@dataclass(frozen=True, kw_only=True)
class Augmentations(Study):
    """RandAugment draws N of 14 operations, all of magnitude M; mixup, CutMix, cutout and random erasing.

    With mixup x' = λ xᵢ + (1 - λ) xⱼ and y' = λ yᵢ + (1 - λ) yⱼ, λ ~ Beta(α, α). CutMix pastes a box of xⱼ with sides
    √(1 - λ) of those of xᵢ and counts in y' the area that is left in the picture. Cutout blackens a square around any
    pixel, random erasing fills a rectangle inside of a share p of the pictures. Measured: the product's operations
    beside torchvision's on photographs, at three magnitudes; which of them do nothing at M = 0; the share of λ in
    pixels beside the one in targets; areas beside the means over all places of a box. Sources: E. Cubuk et al.,
    "RandAugment" (NeurIPS 2020); H. Zhang et al., "mixup" (ICLR 2018); S. Yun et al., "CutMix" (ICCV 2019);
    T. DeVries, G. Taylor, "Cutout" (2017); Z. Zhong et al., "Random Erasing" (AAAI 2020).
    """

    title: ClassVar[str] = "Augmentations: a contact sheet"
    place: ClassVar[int] = 130

    def run(self) -> Findings:
        """Compare what they do, and draw it."""
        photos = _photographs()
        sheet = {(name, m): _operated(photos[:1], name, m)[0] for name in OPERATIONS for m in (0, *MAGNITUDES)}
        shares = draw_operations(noise_of("augmentations"), 1, DRAWS).operation[0].bincount(minlength=len(OPERATIONS))
        white = float((sheet["Solarize", 0] != photos[0]).any(0).double().mean())
        return Findings(
            comparisons=[
                *_beside_torchvision(photos[:1], sheet),
                Comparison(
                    what=f"{len(UNTOUCHED)} operations at M = 0 beside the photograph",
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
                f"M = 0 it makes white black: {100 * white:.1f} % of the pixels of this photograph.",
            ],
            charts=[_policy_sheet(sheet), _mixing_sheet(photos)],
        )


def _photographs() -> Tensor:
    """Return scikit-learn's two photographs, their middle squares, [2, 3, SIDE, SIDE] in whole 255ths."""
    from PIL import Image
    from sklearn.datasets import load_sample_images
    from torchvision.transforms.v2 import functional

    made = []
    for array in load_sample_images().images:
        height, width, _ = array.shape
        left, top, side = (width - height) // 2, 0, height
        picture = Image.fromarray(array).crop((left, top, left + side, top + side))
        pixels = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        made.append(functional.pil_to_tensor(pixels).float() / 255)
    return torch.stack(made)


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

    factor, shift = 1 + 0.9 * share, int(150 / 331 * SIDE * share)
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


def _policy_sheet(sheet: Mapping[tuple[str, int], Tensor]) -> Drawn:
    rows = [
        {"operation": name, "M": str(magnitude), "picture": _as_url(picture)}
        for (name, magnitude), picture in sheet.items()
    ]
    return Drawn(
        title="RandAugment's 14 operations by magnitude",
        caption=f"A photograph of scikit-learn's, {SIDE} x {SIDE} pixels, after one operation each, on the paper's "
        f"scale of M from 0 to {LAST}; those with a sign have a positive one.",
        chart=_sheet(rows, row="operation", rows=OPERATIONS, column="M", columns=[str(m) for m in (0, *MAGNITUDES)]),
    )


def _mixing_sheet(photos: Tensor) -> Drawn:
    methods: dict[str, Regularizer] = {
        "mixup": Mixup(alpha=1.0, per="example"),
        "CutMix": CutMix(prob=1.0, per="example"),
        "cutout": Cutout(length=SIDE / 2),
        "random erasing": RandomErasing(p=1.0),
    }
    batch, targets = photos.repeat(SHOWN, 1, 1, 1), torch.eye(2).repeat(SHOWN, 1)
    rows = []
    for name, method in methods.items():
        x, y = method.augment(batch, targets, _step(name))
        for number in range(SHOWN):
            rows.append({"method": name, "draw": str(number + 1), "picture": _as_url(x[2 * number])})
            rows[-1]["target"] = f"{float(y[2 * number, 0]):.2f}"
    return Drawn(
        title="Mixing and hiding",
        caption=f"{SHOWN} draws each of mixup and CutMix (α = 1) with another photograph, of cutout with half of the "
        f"side, and of random erasing. Numbers: the target that the photograph keeps, λ.",
        chart=_sheet(rows, row="method", rows=[*methods], column="draw", columns=[str(n + 1) for n in range(SHOWN)]),
    )


def _sheet(
    pictures: Sequence[Mapping[str, str]], *, row: str, rows: Sequence[str], column: str, columns: Sequence[str]
) -> alt.LayerChart:
    """Return pictures in rows and columns, under each its target where it has one."""
    target = "target" in pictures[0]
    room = CELL + (TEXT if target else 0)
    size = alt.ExprRef(f"min(bandwidth('x'), {CELL}) - 2")  # on a narrow page columns are narrower than rows are high
    base = alt.Chart().encode(
        x=alt.X(
            f"{column}:N", sort=[*columns], scale=alt.Scale(type="band"), axis=alt.Axis(labelAngle=0, orient="top")
        ),
        y=alt.Y(f"{row}:N", sort=[*rows], scale=alt.Scale(type="band"), title=None),
    )
    layers = [base.mark_image(width=size, height=size).encode(url="picture:N")]
    if target:
        layers.append(base.mark_text(dy=CELL / 2 + 6).encode(text="target:N"))
    return alt.LayerChart(layer=layers, data=pd.DataFrame(pictures)).properties(
        width=CELL * len(columns), height=room * len(rows)
    )


def _as_url(picture: Tensor) -> str:
    """Return a picture [3, H, W] as the address of a JPEG that is in it."""
    from torchvision.transforms.v2 import functional

    levels = (picture.clamp(0, 1) * 255).round().byte()
    found = io.BytesIO()
    functional.to_pil_image(levels).save(found, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(found.getvalue()).decode()}"
