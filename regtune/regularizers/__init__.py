"""The registry of regularizers: one file = one method. `regtune list` prints the catalogue."""

from regtune.core.registry import Registry
from regtune.regularizers._base import (
    HOOKS,
    Forward,
    Gradient,
    Pretrained,
    Regularizer,
    Statistics,
    Step,
    check_hooks,
    overrides,
)
from regtune.regularizers.confidence_penalty import ConfidencePenalty
from regtune.regularizers.contrastive import Contrastive
from regtune.regularizers.cosine_restarts import CosineRestarts
from regtune.regularizers.cutmix import CutMix
from regtune.regularizers.cutout import Cutout
from regtune.regularizers.denoising_autoencoder import DenoisingAutoencoder
from regtune.regularizers.dropout import Dropout
from regtune.regularizers.early_stopping import EarlyStopping
from regtune.regularizers.elastic_net import ElasticNet
from regtune.regularizers.ema import EMA
from regtune.regularizers.exponential_decay import ExponentialDecay
from regtune.regularizers.feature_cutmix import FeatureCutMix
from regtune.regularizers.gaussian_dropout import GaussianDropout
from regtune.regularizers.gradient_clipping import GradientClipping
from regtune.regularizers.horizontal_flip import HorizontalFlip
from regtune.regularizers.inverse_time_decay import InverseTimeDecay
from regtune.regularizers.kl_sparsity import KLSparsity
from regtune.regularizers.l1 import L1
from regtune.regularizers.l2 import L2
from regtune.regularizers.l2_sp import L2SP
from regtune.regularizers.label_smoothing import LabelSmoothing
from regtune.regularizers.linear_decay import LinearDecay
from regtune.regularizers.max_norm import MaxNorm
from regtune.regularizers.mix_switch import MixSwitch
from regtune.regularizers.mixup import Mixup
from regtune.regularizers.rand_augment import RandAugment
from regtune.regularizers.random_crop import RandomCrop
from regtune.regularizers.random_erasing import RandomErasing
from regtune.regularizers.rotation_prediction import RotationPrediction
from regtune.regularizers.rotation_pretraining import RotationPretraining
from regtune.regularizers.sam import SAM
from regtune.regularizers.staircase import Staircase
from regtune.regularizers.stochastic_depth import StochasticDepth
from regtune.regularizers.superclass_prediction import SuperclassPrediction
from regtune.regularizers.swa import SWA
from regtune.regularizers.swap_noise import SwapNoise
from regtune.regularizers.transfer import Transfer
from regtune.regularizers.trivial_augment import TrivialAugment
from regtune.regularizers.warm_up import WarmUp
from regtune.regularizers.weight_decay import WeightDecay

REGULARIZERS: Registry[Regularizer] = Registry(package=__name__, base=Regularizer, noun="regularizer")

__all__ = [
    "EMA",
    "HOOKS",
    "L1",
    "L2",
    "L2SP",
    "REGULARIZERS",
    "SAM",
    "SWA",
    "ConfidencePenalty",
    "Contrastive",
    "CosineRestarts",
    "CutMix",
    "Cutout",
    "DenoisingAutoencoder",
    "Dropout",
    "EarlyStopping",
    "ElasticNet",
    "ExponentialDecay",
    "FeatureCutMix",
    "Forward",
    "GaussianDropout",
    "Gradient",
    "GradientClipping",
    "HorizontalFlip",
    "InverseTimeDecay",
    "KLSparsity",
    "LabelSmoothing",
    "LinearDecay",
    "MaxNorm",
    "MixSwitch",
    "Mixup",
    "Pretrained",
    "RandAugment",
    "RandomCrop",
    "RandomErasing",
    "Regularizer",
    "RotationPrediction",
    "RotationPretraining",
    "Staircase",
    "Statistics",
    "Step",
    "StochasticDepth",
    "SuperclassPrediction",
    "SwapNoise",
    "Transfer",
    "TrivialAugment",
    "WarmUp",
    "WeightDecay",
    "check_hooks",
    "overrides",
]
