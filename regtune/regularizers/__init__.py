"""The shelf of regularizers: one file = one method. `regtune list` prints the catalogue."""

from regtune.regularizers._base import HOOKS, Forward, Regularizer, Step, overrides
from regtune.regularizers.dropout import Dropout
from regtune.regularizers.early_stopping import EarlyStopping
from regtune.regularizers.l1 import L1
from regtune.regularizers.l2 import L2
from regtune.regularizers.label_smoothing import LabelSmoothing
from regtune.regularizers.max_norm import MaxNorm
from regtune.regularizers.mixup import Mixup
from regtune.regularizers.stochastic_depth import StochasticDepth
from regtune.shelf import Shelf

REGULARIZERS: Shelf[Regularizer] = Shelf(package=__name__, base=Regularizer, noun="regularizer")

__all__ = [
    "HOOKS",
    "L1",
    "L2",
    "REGULARIZERS",
    "Dropout",
    "EarlyStopping",
    "Forward",
    "LabelSmoothing",
    "MaxNorm",
    "Mixup",
    "Regularizer",
    "Step",
    "StochasticDepth",
    "overrides",
]
