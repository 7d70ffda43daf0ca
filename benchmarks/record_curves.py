"""Record the validation accuracies of 1,000 real trainings, epoch by epoch: what the tests of pruning play.

Five arms of a small mlp on 200 handwritten digits, random knobs, 27 epochs, nothing pruned; a training that
diverges is left out and another takes its place. Written as counts of right answers, which are exact. A few
minutes on one core:

    .venv/bin/python benchmarks/record_curves.py tests/curves.json.gz
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from regtune.core.records import Trial
from regtune.search.search import SearchScheduler
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.trainer import train

EPOCHS = 27
VALIDATION = 397
SWEEP = f"""
[data]
name = "digits"
train = 200
validation = {VALIDATION}
[network]
name = "mlp"
widths = [32, 32]
[optimizer]
learning_rate = {{ low = 0.001, high = 1.0, log = true }}
momentum = 0.9
[training]
epochs = {EPOCHS}
batch = 50
[arms]
baseline = {{}}
dropout = {{ dropout = {{}} }}
max_norm = {{ max_norm = {{}} }}
label_smoothing = {{ label_smoothing = {{}} }}
mixup = {{ mixup = {{}} }}
[search]
trials = 1000
sampler = "random"
"""


def trials() -> Iterator[Trial]:
    """Yield the trials of the sweep, arm by arm in turn."""
    with tempfile.TemporaryDirectory(prefix="regtune-curves-") as folder:
        file = Path(folder) / "curves.toml"
        file.write_text(SWEEP, encoding="utf-8")
        scheduler = SearchScheduler(Sweep.read(file))
    while (asked := scheduler.ask()) is not None:
        yield asked.trial


def record(count: int) -> list[list[int]]:
    """Return the curves of this many trainings that came to their end."""
    curves: list[list[int]] = []
    splits = None
    for trial in trials():
        splits = splits or load_data(trial)
        curve = [round((epoch.val_accuracy or 0.0) * VALIDATION) for epoch in train(trial, data=splits)]
        if len(curve) == EPOCHS:
            curves.append(curve)
        if len(curves) == count:
            break
    return curves


def main() -> None:
    """Record and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="where to write, *.json.gz")
    parser.add_argument("--count", type=int, default=1000)
    chosen = parser.parse_args()
    curves = record(chosen.count)
    text = json.dumps({"validation": VALIDATION, "curves": curves}, separators=(",", ":"))
    chosen.file.write_bytes(gzip.compress(text.encode(), mtime=0))  # no time in it: the same curves, the same bytes
    print(f"{len(curves)} curves of {EPOCHS} epochs, {chosen.file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
