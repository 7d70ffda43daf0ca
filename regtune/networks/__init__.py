"""The registry of networks: one file = one family; each places named, empty slots where noise may go."""

from regtune.core.registry import Registry
from regtune.networks._base import Bend, Branch, Network, Normalize, Slot, fresh, slots
from regtune.networks._heads import HEADS, answers, gives_features, has_features, has_head, with_head, without_heads
from regtune.networks._initializers import KEEP

NETWORKS: Registry[Network] = Registry(package=__name__, base=Network, noun="network")  # type: ignore[type-abstract]  # a registry never instantiates its base

__all__ = [
    "HEADS",
    "KEEP",
    "NETWORKS",
    "Bend",
    "Branch",
    "Network",
    "Normalize",
    "Slot",
    "answers",
    "fresh",
    "gives_features",
    "has_features",
    "has_head",
    "slots",
    "with_head",
    "without_heads",
]
