"""The registry of networks: one file = one family; each places named, empty slots where noise may go."""

from regtune.core.registry import Registry
from regtune.networks._base import Bend, Branch, Network, Normalize, Slot, built, fresh, slots
from regtune.networks._foreign import Foreign
from regtune.networks._heads import (
    HEADS,
    answers,
    feature_count,
    gives_features,
    has_features,
    has_head,
    log_variance,
    with_head,
    with_log_variances,
    with_part,
    without_heads,
)
from regtune.networks._initializers import KEEP
from regtune.networks._library import Library
from regtune.networks._spared import spared

NETWORKS: Registry[Network] = Registry(package=__name__, base=Network, noun="network")  # type: ignore[type-abstract]  # a registry never instantiates its base

__all__ = [
    "HEADS",
    "KEEP",
    "NETWORKS",
    "Bend",
    "Branch",
    "Foreign",
    "Library",
    "Network",
    "Normalize",
    "Slot",
    "answers",
    "built",
    "feature_count",
    "fresh",
    "gives_features",
    "has_features",
    "has_head",
    "log_variance",
    "slots",
    "spared",
    "with_head",
    "with_log_variances",
    "with_part",
    "without_heads",
]
