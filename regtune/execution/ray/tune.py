"""A phase as Ray Tune trials on the cluster that is connected."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import tempfile
from collections.abc import Iterator
from typing import Any

from ray import tune
from ray.tune import PlacementGroupFactory

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.data import Pool, Splits
from regtune.execution.attempt import ReportPlan
from regtune.execution.controller import PhaseController
from regtune.execution.lane_queue import LaneQueue, LaneTerms
from regtune.execution.ray.adapters import LaneScheduler, LaneSearcher
from regtune.execution.ray.mailbox import open_mailbox
from regtune.execution.ray.nodes import Need, capacity
from regtune.execution.ray.transfer import SharedData
from regtune.execution.ray.worker import train_lane
from regtune.sweep.schema import ClusterConfig


def run_on_ray(
    terms: ClusterConfig,
    phase: PhaseController,
    data: Splits | Pool,
    plan: ReportPlan,
    lanes: LaneTerms,
    *,
    trainable: Any = train_lane,
) -> None:
    """Run what is left of a phase, each lane as a trial of Tune; a pool is for splits of their own.

    `trainable` is what Tune runs: a function of (config, shared_data, plan, mailbox), replaced only to time the rest.
    """
    need, mailbox = Need.of(terms), open_mailbox()
    lanes = dataclasses.replace(lanes, lanes=max(1, sum(capacity(need).values())))
    queue = LaneQueue(phase, lanes, own_splits=isinstance(data, Pool))
    searcher = LaneSearcher(queue, need, pending=terms.pending)
    with tempfile.TemporaryDirectory(prefix="regtune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(trainable, shared_data=SharedData.pack(data), plan=plan, mailbox=mailbox),
                lambda config: _resources(need, config),
            ),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=searcher,
                scheduler=LaneScheduler(phase, searcher, plan, mailbox),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(name="phase", storage_path=scratch, verbose=0),
        )
        try:
            with _quiet():
                tuner.fit()
        except tune.TuneError as error:
            raise _cause(error) from error
    queue.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Tune's tracebacks off the screen: what befalls a trial is in the log, in one line."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _resources(need: Need, config: Json) -> PlacementGroupFactory:
    """Return what Ray sets aside for a trial, away from the nodes that it is to avoid."""
    labels = dict(need.labels)
    if config["avoid"]:
        labels["ray.io/node-id"] = f"!in({','.join(config['avoid'])})"
    share = {"CPU": need.cpus, "GPU": need.gpus}
    return PlacementGroupFactory([share], bundle_label_selector=[labels] if labels else None)


def _cause(error: BaseException) -> BaseException:
    """Return what the phase raised (a full disk, a lease lost), which Tune wraps into text of its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Refused | OSError):
            return seen
        seen = seen.__context__
    return error
