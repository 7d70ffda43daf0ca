"""Modules as people have them, which know nothing of regtune."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torchvision.models import ResNet, resnet18
from torchvision.ops import StochasticDepth

SIDE = 6  # of the pictures of a small trial, of one channel


def plain_mlp(width: int = 12, classes: int = 2) -> nn.Module:
    """The shelf's mlp of three hidden layers, by hand."""
    parts: list[nn.Module] = [nn.Flatten(), nn.Dropout(0.2)]
    before = SIDE * SIDE
    for _ in range(3):
        parts += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(0.5)]
        before = width
    return nn.Sequential(*parts, nn.Linear(before, classes))


class Pictures(nn.Module):
    """Convolutions with BatchNorm, one Dropout2d that is used twice."""

    def __init__(self, channels: int = 4, classes: int = 2) -> None:
        super().__init__()
        self.drop = nn.Dropout2d(0.1)
        self.one, self.norm1 = nn.Conv2d(1, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.two, self.norm2 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.drop(self.norm1(self.one(x)).relu())
        h = self.drop(self.norm2(self.two(h)).relu())
        logits: Tensor = self.head(h.mean((2, 3)))
        return logits


class Transformer(nn.Module):
    """Rows of a picture as tokens, one encoder layer of torch, with LayerNorm."""

    def __init__(self, width: int = 8, classes: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(SIDE, width)
        self.position = nn.Embedding(SIDE, width)
        self.block = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.1, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x.flatten(1, 2)) + self.position.weight
        logits: Tensor = self.head(self.norm(self.block(h)).mean(1))
        return logits


def torchvision_resnet(classes: int = 2) -> ResNet:
    """Torchvision's own, but for the channels that it reads, and the stem of small pictures."""
    net = resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(1, 64, 3, stride=1, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


class Deep(nn.Module):
    """Residual blocks with torchvision's StochasticDepth; the shortcut is added in place."""

    def __init__(self, blocks: int = 3, width: int = 8, classes: int = 2) -> None:
        super().__init__()
        self.stem = nn.Linear(SIDE * SIDE, width)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width))
            for _ in range(blocks)
        )
        self.depths = nn.ModuleList(StochasticDepth(0.1 * k, "row") for k in range(blocks))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.stem(x.flatten(1))
        for branch, depth in zip(self.branches, self.depths, strict=True):
            more = depth(branch(h))
            more += h
            h = more
        logits: Tensor = self.head(h)
        return logits


class DropPath(nn.Module):
    """As timm has it, and as many copy it."""

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep = 1 - self.drop_prob
        return x * x.new_empty((len(x), *[1] * (x.ndim - 1))).bernoulli_(keep) / keep


class OwnDropPath(nn.Module):
    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.stem, self.branch = nn.Linear(SIDE * SIDE, 8), nn.Linear(8, 8)
        self.path, self.drop = DropPath(0.2), nn.Dropout(0.3)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x.flatten(1)).relu()
        logits: Tensor = self.head(self.drop(h + self.path(self.branch(h))))
        return logits


def timm_model(classes: int = 2) -> nn.Module:
    import timm

    net: nn.Module = timm.create_model(
        "vit_tiny_patch16_224",
        num_classes=classes,
        in_chans=1,
        img_size=SIDE,
        patch_size=3,
        embed_dim=8,
        depth=3,
        num_heads=2,
        drop_path_rate=0.1,
    )
    return net


class Spread(nn.Module):
    """LayerNorm over rows and columns, an embedding, weights that nothing but a penalty moves."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.norm, self.position = nn.LayerNorm([SIDE, SIDE]), nn.Embedding(SIDE, SIDE)
        self.head = nn.Linear(SIDE * SIDE, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head((self.norm(x[:, 0]) + self.position.weight).flatten(1))
        return logits


class Functional(nn.Module):
    """Draws by itself."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.head = nn.Linear(SIDE * SIDE, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(nn.functional.dropout(x.flatten(1), 0.5, self.training))
        return logits


class Choosing(nn.Module):
    """Looks at values, which vmap cannot take."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.head = nn.Linear(SIDE * SIDE, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = x.flatten(1)
        logits: Tensor = self.head(h if h.sum() > 0 else -h)
        return logits


class Pair(nn.Module):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x.flatten(1) * lengths


class Several(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1)[:, :2], x


class Maps(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, :, :2]


class WholeBlock(nn.Module):
    """A block that holds its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(SIDE * SIDE, 8), Block(), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.block(self.stem(x.flatten(1))))
        return logits


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Linear(8, 8)

    def forward(self, h: Tensor) -> Tensor:
        return h + torch.relu(self.branch(h))


def frozen() -> nn.Module:
    net = plain_mlp()
    net[2].requires_grad_(False)  # type: ignore[index]  # a Sequential
    return net


def compiled_mlp(how: str, classes: int = 2) -> nn.Module:
    """The mlp, of which torch compiles all, a part, or all in place."""
    net = plain_mlp(classes=classes)
    if how == "whole":
        return torch.compile(net)  # type: ignore[return-value]  # a module, as it was given one
    if how == "part":
        net[2] = torch.compile(net[2])  # type: ignore[operator, index]  # a Sequential
    else:
        net.compile()
    return net


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        script: nn.Module = torch.jit.script(plain_mlp())
    return script


def alpha() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.AlphaDropout(0.1), nn.Linear(SIDE * SIDE, 2))


def number() -> int:
    return 3


def zero_head(classes: int = 2) -> nn.Module:
    """Its last layer begins with zeros, so no picture reaches the outputs before training."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, classes))
    for parameter in net[-1].parameters():
        nn.init.zeros_(parameter)
    return net
