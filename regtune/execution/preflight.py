"""The checks that need the data: run once before anything starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from regtune.core.errors import Refused
from regtune.core.metric import CLASSWISE
from regtune.core.own_code import own_errors
from regtune.core.records import SWITCH, Json
from regtune.core.search_space import KnobPath, of_owner
from regtune.data import DataLocation, Dataset, Pool, Splits, nearly_black, pixels, repeated, unequal_classes, untested
from regtune.regularizers import overrides
from regtune.sweep.arms import Arm
from regtune.sweep.sweep import Sweep
from regtune.training.build import (
    build_dataset,
    build_network,
    check_arithmetic,
    load_pool,
    split,
    split_data,
    start_network,
)
from regtune.training.classwise import lacking
from regtune.training.features import check_last_layer
from regtune.training.recipe import Recipe


class CheckedData(NamedTuple):
    """The data of a sweep: all of them, and the splits of search."""

    pool: Pool
    splits: Splits


def preflight(
    sweep: Sweep, place: DataLocation | None = None, say: Callable[[str], None] = lambda text: None
) -> CheckedData:
    """Load the data of a sweep and check that every arm can be trained on it.

    `place` is what the environment says if not given; `say` is told what a user should know of the network, once for
    all repeats. Returns pool and splits, test included. Raises
    Refused: data that are missing, damaged or too few, a batch larger than the training split, settings
    that no network can be built from, a method whose slot the network does not place, knobs that make no
    sense for network and data at either end of their searched range, retraining to a loss without a best
    epoch, tightness for a network without a last layer that is linear, a metric that is undefined on a split.
    """
    template = sweep.arms[0].template
    with own_errors(f"data {template.data['name']}"):
        pool = load_pool(template, place)
        splits = split_data(template, pool)
    _check_pixels(splits, f"data {template.data['name']}")
    if template.batch > len(splits.train):
        raise Refused(
            f"training.batch: expected at most the {len(splits.train)} training examples, given {template.batch}"
        )
    if sweep.confirm.splits == "fresh":
        _check_fresh(sweep, pool)
    check_arithmetic(template)
    with own_errors(f"network {template.network['name']}"):
        net = start_network(template, splits)
        for text in build_network(template).remarks(net) if sweep.repeat == 1 else ():
            say(text)
    if template.batch == 1 and any(isinstance(part, BatchNorm) for part in net.modules()):
        raise Refused("training.batch: expected at least 2 for a network with BatchNorm, given 1; raise batch")
    _check_metrics(sweep, splits)
    if template.tightness:
        check_last_layer(net, pixels(splits.train.batches(2)[0], torch.float32), splits.classes)
    for arm in sweep.arms:
        for row in arm.template.recipe:
            for corner in corners(arm, row):
                with own_errors(f"arms.{arm.name}.{row['name']}"):
                    Recipe.read([corner], template.plugins).check(net, splits, f"arms.{arm.name}")
        if sweep.confirm.retrain == "loss" and not _keeps(arm):
            raise Refused(
                f"arms.{arm.name}: expected a method that keeps a best epoch in every recipe, confirm.retrain is "
                f"'loss'; add early_stopping to base, or set retrain to 'updates' or 'epochs'"
            )
    return CheckedData(pool, splits)


def flaws(sweep: Sweep, pool: Pool) -> list[str]:
    """Return in a line each why accuracies on the data of a sweep may say little, as a run says before it begins.

    Pictures that are there more than once, classes that are not tested, pictures that are nearly black: see `data`.
    Nothing of a further repeat, which has the data of the first.
    """
    if sweep.repeat != 1:
        return []
    data, splits = _uncorrupted(sweep, pool)
    dark = () if splits.columns else nearly_black(splits, pool.notes)
    found = (*dark, *repeated(pool, splits), *untested(splits))
    return [f"{data.where}: {text}" for text in found]


def remarks(sweep: Sweep, pool: Pool) -> list[str]:
    """Return all that a user should know of the data of a sweep, a line each."""
    data, splits = _uncorrupted(sweep, pool)
    lines = [*(f"{data.where}: {text}" for text in (*pool.notes, *unequal_classes(splits))), *flaws(sweep, pool)]
    return [*dict.fromkeys(lines)]  # a note may be a flaw too


def _uncorrupted(sweep: Sweep, pool: Pool) -> tuple[Dataset, Splits]:
    data = build_dataset(sweep.arms[0].template)
    return data, replace(split(data, pool), names=pool.names)


def _check_pixels(splits: Splits, where: str) -> None:
    """Raise Refused for pictures that are neither uint8 nor floats in [0, 1]: methods and `Normalize` count on it.

    Features of a table may be any number.
    """
    if splits.columns:
        return
    parts = (splits.train, splits.validation, *(() if splits.test is None else (splits.test,)))
    for source in {id(part.source): part.source for part in parts}.values():
        if source.dtype == torch.uint8:
            continue
        if not source.is_floating_point():
            raise Refused(
                f"{where}: expected pictures as uint8 or floats in [0, 1], given {str(source.dtype).split('.')[-1]}; "
                f"convert them to uint8"
            )
        low, high = (float(end) for end in torch.aminmax(source))
        if not (low >= 0 and high <= 1):  # what is not a number is neither
            raise Refused(
                f"{where}: expected pictures in [0, 1] or uint8, given {low:g} to {high:g}; scale them to [0, 1], the "
                f"network normalizes them itself"
            )


def _check_metrics(sweep: Sweep, splits: Splits) -> None:
    """Raise Refused where a metric is a mean over classes and one of these has no example."""
    asked = (("search", sweep.search.metric, splits.validation), ("confirm", sweep.confirm.metric, splits.test))
    for table, name, part in asked:
        if part is None or name not in CLASSWISE or not (classes := lacking(part.labels, splits.classes)):
            continue
        which = "validation" if table == "search" else "test"
        more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
        raise Refused(
            f"{table}.metric: expected {which} examples of every class, since {name!r} is a mean over classes, given "
            f"none of class {', '.join(map(str, classes[:5]))}{more}; add examples, or take 'accuracy' or 'nll'"
        )


def _check_fresh(sweep: Sweep, pool: Pool) -> None:
    """Raise Refused where splits of their own would make test examples of what search saw."""
    template = sweep.arms[0].template
    data = build_dataset(template)
    if sweep.select.seeds and not data.fixed_test:
        raise Refused(
            f"select.seeds: expected 0 with confirm.splits = 'fresh' for data that do not say that their test split is "
            f"fixed (`fixed_test`), given {sweep.select.seeds}; set splits to 'one'"
        )
    one, other = (split(one, pool).test for one in (data, replace(data, split_seed=data.split_seed + 1)))
    same = one is not None and other is not None and (one.source is other.source or bool(pool.columns))  # scaled anew
    if one is None or other is None or not same or not torch.equal(one.index, other.index):
        raise Refused(
            f"confirm.splits: expected a data set whose test split is the same for every split_seed, that of "
            f"{template.data['name']} is not, and search saw what 'fresh' would test on; set splits to 'one'"
        )


def corners(arm: Arm, row: Json) -> Iterator[Json]:
    """Yield a method's row of an arm with every searched knob at either end, or at every choice."""
    paths = {path: str(KnobPath(row["name"], path)) for path in _searched(arm, row["name"])}
    ends = [_ends(arm.space[path]) for path in paths.values()]
    for values in itertools.product(*ends):
        yield row | dict(zip(paths, values, strict=True))


def _searched(arm: Arm, method: str) -> list[str]:
    """Return the searched knobs of a method; whether it is in at all is no knob of its own."""
    return [knob for knob in of_owner(arm.space, method) if knob != SWITCH]


def _ends(space: BaseDistribution) -> tuple[object, ...]:
    if isinstance(space, CategoricalDistribution):
        return tuple(space.choices)
    return getattr(space, "low"), getattr(space, "high")  # noqa: B009 - ranges only have them


def _keeps(arm: Arm) -> bool:
    """Return whether every recipe of an arm has a method that keeps a best epoch."""
    always = [row for row in arm.template.recipe if row["name"] not in arm.conditions]
    return any(overrides(m, "keep") for _, m in Recipe.read(always, arm.template.plugins).methods)
