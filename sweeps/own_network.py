"""A network of one's own, as anybody writes it in PyTorch: nothing of regtune is in here.

`own_network.toml` names it. Its `nn.Dropout` becomes a slot, of which an arm says what is dropped there; its rate, 0.5,
is set aside. The branches of its blocks end in `norm2`, which the sweep file names, so that branches can be left out.
"""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions around which a shortcut leads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return pictures of the same shape."""
        h = self.norm1(self.conv1(x)).relu()
        y: Tensor = (x + self.norm2(self.conv2(h))).relu()
        return y


class Net(nn.Module):
    """A convolution, blocks, a mean over pixels, dropout, a linear layer."""

    def __init__(self, channels: int = 16, blocks: int = 2, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, classes] of pictures [N, 1, H, W]."""
        logits: Tensor = self.head(self.drop(self.blocks(self.stem(x)).mean((2, 3))))
        return logits
