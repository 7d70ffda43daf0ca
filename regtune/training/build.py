"""A trial's words into things: data, network, optimizer, and the weights to start from."""

from __future__ import annotations

from dataclasses import replace

import torch

from regtune.core.errors import Refused
from regtune.core.global_rng import seeded
from regtune.core.records import Trial
from regtune.data import DATASETS, DataLocation, Dataset, Pool, Splits, channel_statistics, checked, corrupted
from regtune.networks import NETWORKS, Network, Normalize, fresh
from regtune.optimizers import OPTIMIZERS, Optimizer
from regtune.training.objective import Arithmetic

ON_TABLES = "tabular_mlp, tabular_resnet or mlp"
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def arithmetic_of(trial: Trial) -> Arithmetic:
    """Return how a trial's network is computed."""
    return Arithmetic(autocast=trial.autocast, channels_last=trial.channels_last, compiled=trial.compiled)


def check_arithmetic(trial: Trial) -> None:
    """Raise Refused for settings of the arithmetic that exclude each other."""
    if trial.autocast and trial.dtype != "float32":
        raise Refused(
            f"training.autocast: expected dtype = 'float32' beside it, given {trial.dtype!r}; drop one of them"
        )


def start_network(trial: Trial, data: Splits) -> torch.nn.Module:
    """Return the module of a trial with its initial weights, its inputs normalized to the training data."""
    value = build_network(trial)
    if data.columns and not value.tables:
        raise Refused(f"network {trial.network['name']}: expected pictures, given a table; take {ON_TABLES}")
    channels, height, width = data.train.source.shape[1:]
    shape = (channels, height, width)
    net = fresh(value, shape=shape, classes=data.classes, seed=trial.seed, columns=data.columns)
    layers = [part for part in net.modules() if isinstance(part, Normalize)]
    if layers and not data.columns:  # features of a table are to scale already
        mean, std = channel_statistics(data.train)
        for layer in layers:
            layer.fit(mean, std)
    return net


def build_dataset(trial: Trial) -> Dataset:
    """Return the data set value of a trial."""
    return DATASETS.build(trial.data, "data", trial.plugins)


def load_data(trial: Trial, place: DataLocation | None = None) -> Splits:
    """Return the splits of a trial's data set, test included; `place` is what the environment says if not given."""
    return split_data(trial, load_pool(trial, place))


def load_pool(trial: Trial, place: DataLocation | None = None) -> Pool:
    """Return all examples of a trial's data set; what its code draws from global states is the same every time."""
    with seeded(0, "pool"):
        value = build_dataset(trial)
        pool = value.pool(place or DataLocation.from_environment())
    if not isinstance(pool, Pool):
        raise Refused(f"{value.where}: expected its pool to return a Pool, given {type(pool).__name__}")
    return value.restricted(pool)


def split(value: Dataset, pool: Pool) -> Splits:
    """Return what a data set makes of a pool, a function of its settings also where its code draws global noise."""
    with seeded(value.split_seed, "split"):
        return value.split(pool)


def split_data(trial: Trial, pool: Pool) -> Splits:
    """Return a trial's own splits of a pool that trials of other splits share; raises Refused."""
    value = build_dataset(trial)
    splits = split(value, pool)
    names, superclasses = splits.names or pool.names, splits.superclasses or pool.superclasses
    splits = replace(splits, names=names, superclasses=superclasses)
    splits = checked(splits, f"data {trial.data['name']}", sealed=pool.sealed)
    if value.pixels == "true":
        splits = replace(splits.with_unlabelled(pool.train), others=pool.others)
    return corrupted(splits, label_noise=value.label_noise, pixels=value.pixels, seed=value.split_seed)


def build_network(trial: Trial) -> Network:
    """Return the network value of a trial."""
    return NETWORKS.build(trial.network, "network", trial.plugins)


def build_optimizer(trial: Trial) -> Optimizer:
    """Return the optimizer value of a trial."""
    return OPTIMIZERS.build(trial.optimizer, "optimizer", trial.plugins)
