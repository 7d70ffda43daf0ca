"""RandAugment and TrivialAugment: their laws. That each operation is torchvision's is shown in test_pictures.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from regtune.regularizers import RandAugment, Regularizer, TrivialAugment
from tests.meaning.tools import step

SIDE = 12


def picture() -> Tensor:
    """Return a colour picture of noise and gradients in which the operations leave different traces, uint8."""
    noise = torch.randint(0, 256, (3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    ramp = torch.linspace(20, 200, SIDE).long().expand(3, SIDE, SIDE)
    return torch.where(torch.arange(SIDE)[:, None] % 3 == 0, noise, ramp).byte()


def torchvisions(bins: int, strengths: range, *, wide: bool) -> dict[bytes, float]:
    """Return every outcome of one of torchvision's 14 operations with its probability.

    The operation is uniform, so are the sign where it has one and the strength among the given bins.
    """
    from torchvision.transforms import v2

    policy = v2.TrivialAugmentWide(num_magnitude_bins=bins) if wide else v2.RandAugment(num_magnitude_bins=bins)
    space, outcomes = policy._AUGMENTATION_SPACE, Counter[bytes]()
    assert len(space) == 14
    for name, (make, signed) in space.items():
        table = make(bins, SIDE, SIDE)
        for place in strengths:
            for sign in (1, -1):
                strength = 0.0 if table is None else float(table[place]) * (sign if signed else 1)
                made = policy._apply_image_or_video_transform(
                    picture(), name, strength, interpolation=policy.interpolation, fill=policy._fill
                )
                outcomes[bytes(made.numpy())] += 1 / (14 * len(strengths) * 2)  # type: ignore[assignment]  # floats count too
    return dict(outcomes)


def seen(method: Regularizer, count: int) -> Iterator[bytes]:
    """Yield what a method makes of the picture, in steps of 500."""
    x = (picture().float() / 255).expand(500, 3, SIDE, SIDE)
    for number in range(count // 500):
        out, _ = method.augment(x, torch.ones(500, 1), step(number))
        yield from (bytes(one.numpy()) for one in (out * 255).round().byte())


def agree(method: Regularizer, expected: dict[bytes, float], count: int) -> None:
    """Chi-square of the outcomes, rare ones together, p-value above 1e-4.

    torchvision blends in float32 in another order, which may move a level by one: such an outcome counts for the
    nearest one. At most 1 in 1000 of the levels may differ.
    """
    known = np.stack([np.frombuffer(key, np.uint8).astype(int) for key in expected])
    names, found, wrong = list(expected), Counter[bytes](), 0
    for outcome, often in Counter(seen(method, count)).items():
        apart = (known != np.frombuffer(outcome, np.uint8)).sum(1)
        nearest = int(apart.argmin())
        found[names[nearest]] += often
        wrong += often * int(apart[nearest])
    assert wrong <= 1e-3 * count * known.shape[1]
    common = [name for name in names if expected[name] * count >= 10]
    observed = [found[name] for name in common]
    probable = [expected[name] for name in common]
    if sum(probable) < 1 - 1e-9:
        observed, probable = [*observed, count - sum(observed)], [*probable, 1 - sum(probable)]
    assert stats.chisquare(observed, count * np.array(probable) / sum(probable)).pvalue > 1e-4


@pytest.mark.parametrize(("scale", "bins"), [("paper", 11), ("torchvision", 31)])
def test_rand_augment_draws_one_of_fourteen_operations_at_its_magnitude(scale: str, bins: int) -> None:
    """The paper's scale is torchvision's with 11 bins: M = 9 of 10; torchvision's own is 9 of 30."""
    expected = torchvisions(bins, range(9, 10), wide=False)
    agree(RandAugment(num_ops=1, magnitude=9.0, scale=scale), expected, 4000)


def test_trivial_augment_draws_one_of_fourteen_operations_and_one_of_31_strengths() -> None:
    agree(TrivialAugment(), torchvisions(31, range(31), wide=True), 20_000)


def test_trivial_augment_leaves_its_share_of_pictures_alone() -> None:
    """What p = 0.3 does not choose is the picture itself, beside operations that change nothing: binomial, 1e-4."""
    untouched = bytes(picture().numpy())
    share = 0.7 + 0.3 * torchvisions(31, range(31), wide=True)[untouched]
    ours = sum(outcome == untouched for outcome in seen(TrivialAugment(p=0.3), 4000))
    assert stats.binomtest(ours, 4000, share).pvalue > 1e-4


@pytest.mark.parametrize("method", [RandAugment(num_ops=0), TrivialAugment(p=0.0)])
def test_no_operation_is_the_identity(method: Regularizer) -> None:
    x = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(method.augment(x, torch.ones(20, 1), step())[0], x)
