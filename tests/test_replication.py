"""The replication benchmark: what sweeps say together, and lanes in place of one trial after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from replicas import covered, false_verdicts, summary
from replication import is_over, nth, verdicts_of

from regtune.execution.run import run
from regtune.results.loader import load
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP

NAN = math.nan
ROWS = [
    ("one", "better", 0.02, 0.01, 0.03),
    ("one", "worse", -0.02, -0.03, -0.01),
    ("one", "unresolved", 0.0, -0.01, 0.01),
    ("off", "equal", 0.0, NAN, NAN),
    ("off", "unresolved", 0.001, -0.004, 0.006),
    ("off", "unresolved", 0.002, -0.003, 0.007),
]


def made_up() -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=["arm", "verdict", "difference", "low", "high"])
    return frame.assign(sweep=[0, 100, 200] * 2)


def test_the_summary_is_that_of_a_table_made_by_hand() -> None:
    table = summary(made_up())
    one, off, everything = table.to_dict("records")
    third = pytest.approx(100 / 3)
    assert (one["better"], one["worse"], one["unresolved"], one["opposite"]) == (third, third, third, third)
    assert [one[name] for name in ("n", "mean", "sd", "half")] == pytest.approx([3, 0, 2, 1])
    assert one["covered"] == third  # the means over the others: -1, 1, 0 points
    assert off["covered"] == 100
    assert [everything[name] for name in ("n", "better", "opposite")] == pytest.approx([6, 100 / 6, 100 / 6])


def test_off_covers_what_lies_within_the_half_width_of_the_others_and_nothing_covers_without_others() -> None:
    frame = made_up().assign(half=(made_up()["high"] - made_up()["low"]) / 2)
    off = frame[frame["arm"] == "off"]
    assert list(covered(off)) == [1, 1, 1]
    far = off.assign(difference=[0.0, 0.009, 0.009], low=[NAN, 0.004, 0.004], high=[NAN, 0.014, 0.014])
    assert list(covered(far)) == [0, 1, 1]  # 0.0045 is the mean over the others of the second and of the third
    assert list(covered(off[:1]).isna()) == [True]
    assert list(covered(pd.concat([off[:1], off[:1]], ignore_index=True))) == [1, 1]


def test_false_verdicts_are_counted_by_sweep_with_an_exact_interval() -> None:
    words = false_verdicts(made_up())
    assert words.startswith("A/A: a false verdict in 2 of 3 sweeps, 66.7 % [9.4, 99.2]; 2 of 6 verdicts.")


def read(folder: Path, change: Callable[[str], str] = lambda text: text) -> Sweep:
    (folder / "small.toml").write_text(change(SWEEP.replace("population = 1", 'pruner = "none"')))
    return Sweep.read(folder / "small.toml")


def test_verdicts_are_those_of_the_products_tables(tmp_path: Path) -> None:
    sweep = nth(read(tmp_path), 300)
    assert not is_over(sweep.folder(tmp_path), 1)
    folder = run(sweep, tmp_path, in_process=True).parent
    assert is_over(folder, 1)
    assert not is_over(folder, 2)
    found = verdicts_of(folder)
    assert list(found["arm"]) == ["dropout", "mixup"]
    assert list(found.columns) == ["arm", "verdict", "difference", "low", "high"]
    assert load(folder).trials.set_index(["arm", "phase", "number"]).loc[("dropout", "confirm", 0), "seed"] == (
        sweep.confirm_seed(0)
    )
