"""The trial function that Ray Tune runs on a worker: train, and send epochs home in bundles."""

from __future__ import annotations

import json
import time

from ray import tune

from regtune.cluster.shipment import Shipment
from regtune.phase import failed
from regtune.records import Epoch, Outcome, Plain, Trial
from regtune.training import train

SECONDS_BETWEEN_REPORTS = 1.0
REPORT = "report"


def work(config: Plain, shipment: Shipment, rungs: tuple[int, ...]) -> None:
    """Train the trial of a Tune configuration.

    Reports at each rung, where the driver decides, at the end, and at least every second or so between.
    `tune.report` returns when the driver has answered; where it answers "stop", Tune ends this thread
    by SystemExit inside it.
    """
    bundle: list[Plain] = []
    sent = time.monotonic()
    try:
        for epoch in train(Trial.from_plain(json.loads(config["trial"])), data=shipment.unpack()):
            bundle.append(epoch.plain())
            due = epoch.number in rungs or time.monotonic() - sent >= SECONDS_BETWEEN_REPORTS
            if due and epoch.outcome is None:
                _report(bundle)
                bundle, sent = [], time.monotonic()
    except Exception as error:
        # Whatever a user's method raises ends its own trial; log and table carry the message.
        _report(bundle, failed(error))
    else:
        _report(bundle)


def _report(epochs: list[Plain], outcome: Outcome | None = None) -> None:
    """Send a bundle as one string: Tune flattens tables and takes them apart."""
    tune.report({REPORT: json.dumps({"epochs": epochs, "outcome": outcome.plain() if outcome else None})})


def read_report(result: Plain) -> tuple[list[Epoch], Outcome | None]:
    """Return the epochs of a Tune result, and the outcome of a trial whose own code raised."""
    if REPORT not in result:
        return [], None
    report = json.loads(result[REPORT])
    outcome = Outcome(**report["outcome"]) if report["outcome"] else None
    return [Epoch.from_plain(row) for row in report["epochs"]], outcome
