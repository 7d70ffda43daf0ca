"""Parameters that norm penalties, max-norm and weight decay leave alone by the type of the module that holds them."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase as BatchNorm

SPARED = (BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.EmbeddingBag)


def spared(net: nn.Module) -> frozenset[str]:
    """Return the names of parameters that are no vectors, which nobody takes for weights, and no weights either."""
    return frozenset(
        f"{name}.{kind}"
        for name, part in net.named_modules()
        for kind, value in part.named_parameters(recurse=False)
        if value.ndim > 1 and (isinstance(part, SPARED) or kind.endswith("bias"))
    )
