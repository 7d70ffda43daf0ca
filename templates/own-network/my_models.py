"""A network as anybody writes it: it knows nothing of regtune."""

from torch import nn


def make_net(width: int = 16, classes: int = 10) -> nn.Module:
    """Return a small convnet. Where it drops, methods act; its own rates are set aside."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(2 * width, classes),
    )
