"""The phases of a sweep on the cluster that is connected: each worker is a Ray Tune trial."""

from __future__ import annotations

import contextlib
import functools
import logging
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator

import ray
from ray import tune
from ray.tune import PlacementGroupFactory

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.execution import lane_work
from regtune.execution.lane_queue import LaneAnswer, PhaseJob
from regtune.execution.ray.adapters import LaneScheduler, LaneSearcher
from regtune.execution.ray.mailbox import open_mailbox
from regtune.execution.ray.nodes import Need
from regtune.execution.ray.pool import Assignment, LanePool
from regtune.execution.ray.transfer import SharedData
from regtune.execution.ray.worker import train_lanes
from regtune.sweep.schema import ClusterConfig


def run_on_ray(terms: ClusterConfig, jobs: Iterable[PhaseJob], *, work: Callable[..., None] = lane_work.work) -> None:
    """Run what is left of phases, one after the other, on workers that stay for all of them.

    `work` is what a worker does with a lane, replaced only to time the rest.
    """
    mailbox, need = open_mailbox(), Need.of(terms)
    held = dict[str, ray.ObjectRef[SharedData]]()  # what nobody refers to is thrown away

    def send(worker: str, message: Assignment | LaneAnswer | None) -> None:
        mailbox.put.remote(worker, pickle.dumps(message))

    def publish(number: int, job: PhaseJob) -> None:
        held["data"] = ray.put(SharedData.pack(job.data))
        mailbox.publish.remote(number, [held["data"]])

    pool = LanePool(iter(jobs), need, pending=terms.pending, send=send, publish=publish)
    if pool.over:
        return
    with tempfile.TemporaryDirectory(prefix="regtune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(functools.partial(train_lanes, work=work), mailbox=mailbox),
                lambda config: _resources(need, config),
            ),
            tune_config=tune.TuneConfig(
                num_samples=-1, search_alg=LaneSearcher(pool), scheduler=LaneScheduler(pool), reuse_actors=True
            ),
            run_config=tune.RunConfig(name="sweep", storage_path=scratch, verbose=0),
        )
        try:
            with _quiet():
                tuner.fit()
        except tune.TuneError as error:
            raise _cause(error) from error


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
    """Return what Ray sets aside for a worker, away from the nodes that it is to avoid."""
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
