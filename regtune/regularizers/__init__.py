"""The shelf of regularizers: one file = one method. `regtune list` prints the catalogue."""

from regtune.regularizers._base import HOOKS, Forward, Regularizer, Step, overrides
from regtune.regularizers.confidence_penalty import ConfidencePenalty
from regtune.regularizers.cosine_restarts import CosineRestarts
from regtune.regularizers.dropout import Dropout
from regtune.regularizers.early_stopping import EarlyStopping
from regtune.regularizers.elastic_net import ElasticNet
from regtune.regularizers.exponential_decay import ExponentialDecay
from regtune.regularizers.gaussian_dropout import GaussianDropout
from regtune.regularizers.inverse_time_decay import InverseTimeDecay
from regtune.regularizers.l1 import L1
from regtune.regularizers.l2 import L2
from regtune.regularizers.label_smoothing import LabelSmoothing
from regtune.regularizers.linear_decay import LinearDecay
from regtune.regularizers.max_norm import MaxNorm
from regtune.regularizers.mixup import Mixup
from regtune.regularizers.rand_augment import RandAugment
from regtune.regularizers.stochastic_depth import StochasticDepth
from regtune.regularizers.trivial_augment import TrivialAugment
from regtune.regularizers.warm_up import WarmUp
from regtune.regularizers.weight_decay import WeightDecay
from regtune.shelf import Shelf

REGULARIZERS: Shelf[Regularizer] = Shelf(package=__name__, base=Regularizer, noun="regularizer")

__all__ = [
    "HOOKS",
    "L1",
    "L2",
    "REGULARIZERS",
    "ConfidencePenalty",
    "CosineRestarts",
    "Dropout",
    "EarlyStopping",
    "ElasticNet",
    "ExponentialDecay",
    "Forward",
    "GaussianDropout",
    "InverseTimeDecay",
    "LabelSmoothing",
    "LinearDecay",
    "MaxNorm",
    "Mixup",
    "RandAugment",
    "Regularizer",
    "Step",
    "StochasticDepth",
    "TrivialAugment",
    "WarmUp",
    "WeightDecay",
    "overrides",
]
