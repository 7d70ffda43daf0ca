"""The stem of residual networks for small pictures: one convolution of 3 x 3, stride 1, and no pooling behind it."""

from __future__ import annotations

from torch import nn

PLACES = (("conv1", "maxpool"), ("features.conv0", "features.pool0"), ("stem.conv", "stem.pool"))


def has_stem(net: nn.Module) -> bool:
    """Return whether a network begins with a convolution of stride 2 and a pooling, as residual ones do."""
    return _found(net) is not None


def make_small(net: nn.Module) -> None:
    """Give a network that `has_stem` that of small pictures, which starts anew where it has another shape.

    A stem of several convolutions of 3 x 3 keeps these; the first has a stride of 1. Normal, of variance 2 / fan_out.
    """
    found = _found(net)
    if found is None:
        raise ValueError("the network has no stem")
    place, conv, pool = found
    if conv.kernel_size == (3, 3):
        conv.stride = (1, 1)
    else:
        small = type(conv)(
            conv.in_channels, conv.out_channels, kernel_size=3, stride=1, padding=1, bias=conv.bias is not None
        )
        nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
        net.set_submodule(place, small)
    net.set_submodule(pool, nn.Identity())


def _found(net: nn.Module) -> tuple[str, nn.Conv2d, str] | None:
    """Return where the first convolution is, itself, and where the pooling is."""
    for conv, pool in PLACES:
        parts = dict(net.named_modules())
        first = next(
            ((name, part) for name, part in parts.items() if _below(name, conv) and isinstance(part, nn.Conv2d)), None
        )
        pools = any(isinstance(part, nn.MaxPool2d) for name, part in parts.items() if _below(name, pool))
        if first is not None and pools and first[1].stride == (2, 2):
            return first[0], first[1], pool
    return None


def _below(name: str, place: str) -> bool:
    return f"{name}.".startswith(f"{place}.")
