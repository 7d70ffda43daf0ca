"""Pictures that are mirrored and shifted: horizontal flip and random crop."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import pad

from regtune.regularizers import HorizontalFlip, RandomCrop
from tests.meaning.tools import given, step


def pictures(count: int, height: int = 5, width: int = 7) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) + 0.01


def test_flip_mirrors_each_picture_at_its_rate() -> None:
    """Each of 8,000 pictures is itself or torch.flip of it; as many as a binomial says, p-value above 1e-4."""
    x, y = pictures(8000), torch.eye(8).repeat(1000, 1)
    new_x, new_y = HorizontalFlip(p=0.3).augment(x, y, step())
    same, mirrored = ((new_x == other).flatten(1).all(1) for other in (x, torch.flip(x, (3,))))
    assert bool((same ^ mirrored).all())
    assert stats.binomtest(int(mirrored.sum()), 8000, 0.3).pvalue > 1e-4
    assert torch.equal(new_y, y)
    later, _ = HorizontalFlip(p=0.3).augment(x, y, step(1))
    assert not torch.equal(later, new_x)


def test_flip_is_torchvisions() -> None:
    from torchvision.transforms.functional import hflip

    x = pictures(4)
    assert torch.equal(HorizontalFlip(p=1.0).augment(x, torch.eye(4), step())[0], hflip(x))
    assert torch.equal(HorizontalFlip(p=0.0).augment(x, torch.eye(4), step())[0], x)


@pytest.mark.parametrize("fill", ["zeros", "reflect"])
@pytest.mark.parametrize("padding", [1, 2, 4])
def test_crop_is_torchvisions_pad_and_crop_for_every_window(padding: int, fill: str) -> None:
    """All (2 p + 1)^2 windows, drawn from the middle of their cells; pixels are moved, so bits are equal."""
    from torchvision.transforms.functional import crop

    windows = 2 * padding + 1
    count = windows**2
    x, y = pictures(1).expand(count, -1, -1, -1), torch.eye(2).repeat(count, 1)[:count]
    tops, lefts = torch.arange(count) // windows, torch.arange(count) % windows
    cells = given(y=(tops + 0.5) / windows, x=(lefts + 0.5) / windows)
    new_x, new_y = RandomCrop(padding=float(padding), fill=fill).augment(x, y, cells)
    padded = pad(x, (padding,) * 4, mode="constant" if fill == "zeros" else "reflect")
    for k in range(count):
        assert torch.equal(new_x[k], crop(padded[k], int(tops[k]), int(lefts[k]), 5, 7))
    assert torch.equal(new_y, y)


def test_all_shifts_are_equally_likely() -> None:
    """A pixel of its own brightness tells the shift; chi-square over (2 * 3 + 1)^2 cells of 9,800 pictures."""
    x = (torch.arange(1.0, 64.0 + 1).view(1, 1, 8, 8) / 64).expand(9800, 1, 8, 8)
    new_x, _ = RandomCrop(padding=3.0).augment(x, torch.ones(9800, 1), step())
    at = (new_x[:, 0, 3, 3] * 64).round().long() - 1  # what came to row 3, column 3: rows and columns 0 to 6
    rows, columns = at // 8, at % 8
    counts = torch.bincount(rows * 8 + columns, minlength=64).view(8, 8)
    assert int(counts[:7, :7].sum()) == 9800
    assert stats.chisquare(counts[:7, :7].flatten().numpy()).pvalue > 1e-4


def test_no_padding_is_the_identity() -> None:
    x = pictures(50)
    for fill in ("zeros", "reflect"):
        assert torch.equal(RandomCrop(padding=0.0, fill=fill).augment(x, torch.ones(50, 1), step())[0], x)
