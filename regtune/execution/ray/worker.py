"""The trial function that Ray Tune runs on a worker: train, and send reports home."""

from __future__ import annotations

import contextlib
import faulthandler
import json
from collections.abc import Iterator, Mapping

import ray
from ray import tune

from regtune.core.records import Epoch, Json, Outcome, Trial
from regtune.execution.attempt import Report, ReportPlan, attempt
from regtune.execution.ray.transfer import OpaqueBytes, SharedData
from regtune.execution.trial_environment import place_for
from regtune.storage.checkpoints import Saved
from regtune.training.process import prepare_process

REPORT, CHECKPOINT, WEIGHTS = "report", "checkpoint", "weights"
GRACE = 1.1  # an attempt looks at its limit between epochs; one that hangs inside of one is ended a little later


def work(config: Json, shared_data: SharedData, pace: ReportPlan) -> None:
    """Train the trial of a Tune configuration.

    `tune.report` returns when the driver has written what it got and answered; where it answers "stop",
    Tune ends this thread by SystemExit inside it. A fault of the machine is raised: Tune then ends this
    process, and the phase hands the trial out again.
    """
    trial = Trial.from_plain(json.loads(config["trial"]))
    prepare_process(trial.threads)
    here = place_for(trial.device) | {"node": ray.get_runtime_context().get_node_id()}
    resume = config["resume"].take() if config["resume"] else None
    with _ended_after(pace.trial_seconds):
        for report in attempt(trial, shared_data.unpack(), pace, resume):
            tune.report(encode_report(report, here))


@contextlib.contextmanager
def _ended_after(seconds: float | None) -> Iterator[None]:
    """End this process if the block takes longer, even where it hangs in code that is not Python's."""
    if seconds is not None:
        faulthandler.dump_traceback_later(GRACE * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def encode_report(report: Report, here: Mapping[str, str]) -> Json:
    """Return a report as one string, and bytes beside it: Tune flattens tables and takes them apart."""
    row = {
        "epochs": [epoch.plain() for epoch in report.epochs],
        "outcome": report.outcome.plain() if report.outcome else None,
        "where": dict(here),
    }
    packed: Json = {REPORT: json.dumps(row)}
    for name, saved in ((CHECKPOINT, report.checkpoint), (WEIGHTS, report.weights)):
        if saved is not None:
            packed |= {
                name: OpaqueBytes(saved.content),
                f"{name}_of": json.dumps({"id": saved.id, "epoch": saved.epoch}),
            }
    return packed


def decode_report(result: Json) -> tuple[Report, dict[str, str]] | None:
    """Return what a Tune result reports, and on what it was trained; None for a result of Tune's own."""
    if REPORT not in result:
        return None
    row = json.loads(result[REPORT])
    saved = {
        name: Saved(content=result[name].take(), **json.loads(result[f"{name}_of"]))
        for name in (CHECKPOINT, WEIGHTS)
        if name in result
    }
    report = Report(
        epochs=tuple(Epoch.from_plain(epoch) for epoch in row["epochs"]),
        outcome=Outcome(**row["outcome"]) if row["outcome"] else None,
        checkpoint=saved.get(CHECKPOINT),
        weights=saved.get(WEIGHTS),
    )
    return report, row["where"]
