"""Small made-up logs: sweeps whose ends are chosen by the test, without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from regtune.core.bitset import pack_bits
from regtune.core.header import SweepRecord
from regtune.core.records import Json
from regtune.results.loader import Results
from tests.conftest import small_trial, write_log

RATE = "optimizer.learning_rate"
SPACE = "FloatDistribution(high=0.3, log=True, low=0.001, step=None)"


def made_up_log(
    folder: Path,
    confirmed: Mapping[str, Sequence[float | None]],
    *,
    search: Sequence[str] = ("ok", "pruned", "failed"),
    knobs: Mapping[str, Sequence[Json]] | None = None,
    space: Mapping[str, str] | None = None,
    epochs: int = 4,
    name: str = "made-up",
    repeat: int = 1,
    examples: int = 0,
    stubborn: bool = False,
    data: Json | None = None,
    metrics: Mapping[str, Mapping[str, Sequence[float | None]]] | None = None,
    curves: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    terms: Mapping[str, Json] | None = None,
    searched: Mapping[str, Sequence[float]] | None = None,
) -> Path:
    """Write a log in which each arm has these confirmed scores (None: missing) and these ends of search trials.

    `knobs` are those of the search trials of an arm, one after the other; by default a learning rate that grows.
    With `examples` it says which test examples of so many were right, others for every arm and seed, or (`stubborn`)
    for every arm. `data` is what
    the header says of the data set, by default that of `small_trial`. `metrics` has by name and arm what else each
    confirmed trial was measured to have. `curves` has by arm the accuracies on training and validation examples after
    each epoch of its confirmed trials; by default both rise in a line. `terms` are further settings
    of search and confirm, `searched` the scores of an arm's search trials, by default ones that grow.
    """
    seeds = max(map(len, confirmed.values()))
    arms = {
        arm: {
            "template": {**small_trial(epochs=epochs).plain(), **({"data": data} if data else {})},
            "space": {RATE: SPACE, **(space or {})},
        }
        | {"trials": len(search)}
        for arm in confirmed
    }
    usual: dict[str, Json] = {
        "search": {"pruner": "asha", "grace": 0.2, "factor": 3.0},
        "confirm": {"seeds": seeds},
    }
    merged = {phase: mine | (terms or {}).get(phase, {}) for phase, mine in usual.items()}
    sweep = {"name": name, "seed": 0, "arms": arms, **merged}
    sweep |= {"seed": repeat - 1, "repeat": repeat} if repeat > 1 else {}
    rows: list[Json] = [{"event": "header", "sweep": sweep}]
    for arm, scores in confirmed.items():
        mine = (knobs or {}).get(arm) or [{RATE: 0.001 * 2**k} for k in range(len(search))]
        for number, status in enumerate(search):
            length = epochs if status == "ok" else 2
            reached = searched[arm][number] if searched else 0.5 + 0.01 * number
            rows += _trial([arm, "search", number], mine[number], status, length, reached)
        ended = [k for k, status in enumerate(search) if status == "ok"]
        best = max(ended, key=lambda k: searched[arm][k] if searched else k, default=0)
        for number, score in enumerate(scores):
            if score is not None:
                rows += _trial([arm, "confirm", number], mine[best], "ok", epochs, score, test_accuracy=score)
                if curves and arm in curves:
                    _redraw([row["epoch"] for row in rows[-epochs - 1 : -1]], curves[arm])
                rows[-1]["outcome"]["metrics"] |= {name: of[arm][number] for name, of in (metrics or {}).items()}
                rows[-1]["outcome"]["test_right"] = _right(
                    [*arm.encode(), *([] if stubborn else [number])], score, examples
                )
    write_log(folder / "log.jsonl", rows)
    return folder


def with_terms(results: Results, part: str = "confirm", **terms: Any) -> Results:
    """Return results as if the header of their log said this of a part of the sweep."""
    sweep = results.header["sweep"]
    sweep = sweep | {part: sweep[part] | terms}
    return replace(results, header=results.header | {"sweep": sweep}, sweep=SweepRecord.of(sweep))


def _redraw(epochs: Sequence[Json], curve: Sequence[tuple[float, float]]) -> None:
    for epoch, (train, validation) in zip(epochs, curve, strict=True):
        epoch |= {"train_accuracy": train, "val_accuracy": validation}


def _right(seed: list[int], score: float, examples: int) -> str:
    """Return as many right answers as the score says, at random places."""
    answers = np.arange(examples) < round(score * examples)
    return pack_bits(np.random.default_rng(seed).permutation(answers)) if examples else ""


def _trial(key: list[Any], params: Json, status: str, length: int, score: float, **metrics: float) -> list[Json]:
    trial = small_trial(seed=key[2], phase=key[1])
    rows: list[Json] = [
        {"event": "asked", "cell": key, "id": trial.id, "trial": trial.plain(), "params": params},
        {"event": "started", "cell": key},
    ]
    for number in range(1, length + 1):
        value = score * number / length
        epoch = {"number": number, "kept": number, "seconds": 0.01, "val_accuracy": value, "val_loss": 1 - value}
        rest = {"objective": 1.0, "train_accuracy": value, "train_loss": 1.0, "learning_rate": 0.1, "stage": "train"}
        rows.append({"event": "epoch", "cell": key, "epoch": epoch | rest | {"data_share": 0.1}})
    message = "ValueError: <b>no</b> & such" if status == "failed" else ""
    outcome = {"status": status, "message": message, "kept": length, "metrics": {"val_accuracy": score, **metrics}}
    rows.append({"event": "ended", "cell": key, "outcome": outcome})
    return rows
