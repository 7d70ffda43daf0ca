"""What the benchmarks compare with: ordinary PyTorch, written as its tutorials write it. No regtune in here."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad


def mlp(widths: tuple[int, ...], inputs: int, classes: int = 10) -> nn.Module:
    """Return linear layers with ReLU between them."""
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in zip((inputs, *widths), widths, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))


class Block(nn.Module):
    """Two convolutions and a shortcut without parameters."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.stride, self.missing = stride, after - before

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        if self.missing:
            x = pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.missing // 2, self.missing // 2))
        summed: Tensor = x + y
        return summed.relu()


class ResNet20(nn.Module):
    """The CIFAR network of He et al. (2016): 0.27 million parameters."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        for before, after, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
            blocks += [Block(before, after, stride), Block(after, after, 1), Block(after, after, 1)]
        self.body, self.head = nn.Sequential(*blocks), nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.body(x).mean((2, 3)))
        return logits


def resnet18() -> nn.Module:
    """Return torchvision's ResNet-18 for 10 classes, as it is."""
    from torchvision.models import resnet18

    net: nn.Module = resnet18(num_classes=10)
    return net


def train(net: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Take one step per batch and return the last loss."""
    device = next(net.parameters()).device
    loss = torch.zeros(())
    for x, labels in batches:
        optimizer.zero_grad()
        loss = cross_entropy(net(x.to(device, non_blocking=True)), labels.to(device, non_blocking=True))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own lack
        optimizer.step()
    return float(loss)
