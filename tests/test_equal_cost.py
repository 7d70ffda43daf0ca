"""What search found at equal total cost, against numbers made by hand."""

from __future__ import annotations

import csv
import io
import json
import math
from itertools import product
from pathlib import Path
from statistics import median_low
from typing import Any

import pytest

from regtune.analysis.budget import budget_by_phase
from regtune.analysis.equal_cost import equal_cost
from regtune.core.errors import Refused
from regtune.reports.equal_cost import at_equal_cost
from regtune.reports.formats import FORMATS
from regtune.results.loader import Results, load
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.made_up import made_up_log

LOW, HIGH = [0.5, 0.6, 0.7, 0.55, 0.65], [0.8, 0.9, 0.85, 0.81, 0.88]
BATCH, UPDATES, EPOCHS = 8, 3, 4
TRIAL = BATCH * UPDATES * EPOCHS  # examples of a search trial


def made_up(
    folder: Path, *, gradients: float = 1.0, pretraining: int = 0, seconds: float = 1.0, shared: bool = True
) -> Results:
    """Return a sweep of two arms; an epoch of the other takes so many gradients, pretraining so many examples.

    Its trials share one pretraining, or each has one.
    """
    data = {"name": "digits", "train": BATCH * UPDATES, "validation": 20}
    arms = {"base": (0.5, 0.6, 0.55), "other": (0.6, 0.7, 0.66)}
    terms = {"search": {"sampler": "random", "pruner": "none"}}
    searched = {"base": LOW, "other": HIGH}
    log = made_up_log(folder, arms, search=("ok",) * 5, epochs=EPOCHS, data=data, terms=terms, searched=searched)
    lines, _ = read_log(log / "log.jsonl")
    for line in lines:
        if line["event"] == "header":
            for arm in line["sweep"]["arms"].values():
                arm["template"]["batch"] = BATCH
        if line["event"] == "epoch":
            line["epoch"] |= {"seconds": seconds, "gradients": 1.0}
            if line["cell"][0] == "other":
                line["epoch"]["gradients"] = gradients
                if pretraining and line["epoch"]["number"] == 1:
                    key = "key" if shared else f"key {line['cell'][1:]}"
                    line["epoch"] |= {"pretrained": key, "pretraining_examples": pretraining}
                    line["epoch"] |= {"pretraining_seconds": 10.0}
    write_log(log / "log.jsonl", lines)
    return load(log)


def rows_of(results: Results, cost: str) -> dict[str, dict[str, Any]]:
    rows = equal_cost(results, budget_by_phase(results), cost).to_dict("records")
    return {row["arm"]: {str(name): value for name, value in row.items()} for row in rows}


def best_of(scores: list[float], n: int) -> float:
    return median_low(max(drawn) for drawn in product(scores, repeat=n))


def test_what_takes_twice_as_much_has_half_as_many_trials(tmp_path: Path) -> None:
    rows = rows_of(made_up(tmp_path, gradients=2.0), "examples")
    assert (rows["base"]["trial"], rows["other"]["trial"]) == (TRIAL, 2 * TRIAL)
    assert (rows["base"]["level_1"], rows["base"]["level_2"]) == (5 * TRIAL, 10 * TRIAL)
    assert (rows["other"]["trials_1"], rows["other"]["best_1"]) == (2, best_of(HIGH, 2))
    assert not rows["other"]["all_1"]
    assert (rows["base"]["trials_2"], rows["base"]["best_2"]) == (5, best_of(LOW, 5))
    assert rows["base"]["all_1"] and rows["base"]["all_2"] and rows["other"]["all_2"]


def test_a_pretraining_that_trials_share_is_paid_once_and_before_the_first(tmp_path: Path) -> None:
    rows = rows_of(made_up(tmp_path / "some", pretraining=2 * TRIAL), "examples")
    assert rows["other"]["total"] == 7 * TRIAL
    assert (rows["other"]["trials_1"], rows["other"]["best_1"]) == (3, best_of(HIGH, 3))
    assert rows["other"]["trials_2"] == 5
    rows = rows_of(made_up(tmp_path / "much", pretraining=5 * TRIAL), "examples")
    assert rows["other"]["trials_1"] == 0
    assert math.isnan(rows["other"]["best_1"])


def test_pretrainings_of_other_seeds_are_paid_by_each_trial(tmp_path: Path) -> None:
    rows = rows_of(made_up(tmp_path, pretraining=TRIAL, shared=False), "examples")
    assert (rows["other"]["pretrainings"], rows["other"]["pretraining"], rows["other"]["total"]) == (
        5,
        5 * TRIAL,
        10 * TRIAL,
    )
    assert (rows["other"]["trials_1"], rows["other"]["best_1"]) == (2, best_of(HIGH, 2))
    assert (rows["base"]["pretrainings"], rows["base"]["trials_2"]) == (0, 5)


def test_seconds_have_those_of_pretraining(tmp_path: Path) -> None:
    rows = rows_of(made_up(tmp_path, pretraining=TRIAL, seconds=0.5), "seconds")
    assert (rows["base"]["trial"], rows["other"]["pretraining"], rows["other"]["total"]) == (2.0, 10.0, 20.0)
    assert rows["other"]["trials_1"] == 0
    assert rows["base"]["level_2"] == 20.0


def test_of_equal_costs_there_is_one_column(tmp_path: Path) -> None:
    rows = rows_of(made_up(tmp_path), "examples")
    assert "level_2" not in rows["base"]
    assert (rows["base"]["best_1"], rows["other"]["best_1"]) == (best_of(LOW, 5), best_of(HIGH, 5))


def test_every_format_has_it(tmp_path: Path) -> None:
    folder = made_up(tmp_path, gradients=2.0, pretraining=6 * TRIAL).path
    for form in (*FORMATS, None):
        for folders in ([folder], [folder, folder]):
            text = at_equal_cost(folders, "examples", form, 100)
            assert "other" in text
    (row, other) = csv.DictReader(io.StringIO(at_equal_cost([folder], "examples", "csv", 100)))
    assert (row["trials_1"], other["trials_1"], other["best_1"]) == ("5", "0", "")
    (sweep,) = json.loads(at_equal_cost([folder], "examples", "json", 100))["sweeps"]
    assert sweep["arms"][1]["best_1"] is None
    text = at_equal_cost([folder], "examples", "md", 100)
    assert "70.0 (n = 5, all)" in text and "| –" in text and "480 examples" in text


@pytest.mark.parametrize(
    ("cost", "words"),
    [("second", "did you mean 'seconds'"), ("epochs", "expected one of examples, seconds")],
)
def test_another_cost_is_refused(tmp_path: Path, cost: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        at_equal_cost([made_up(tmp_path).path], cost, None, 100)


def test_seconds_that_were_spent_elsewhere_are_refused(tmp_path: Path) -> None:
    results = made_up(tmp_path)
    phases = budget_by_phase(results).assign(reused=1)
    with pytest.raises(Refused, match="take examples"):
        equal_cost(results, phases, "seconds")
    with pytest.raises(Refused, match="take seconds"):
        equal_cost(results, phases.assign(gradients=math.nan), "examples")
