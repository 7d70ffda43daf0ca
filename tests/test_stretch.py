"""Default ranges: shares of the training where they count epochs, and none that ruins a training without a word."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import IntDistribution

from regtune.cli.catalog import knob_line
from regtune.core.errors import Refused
from regtune.core.knobs import knobs
from regtune.regularizers import REGULARIZERS, EarlyStopping
from regtune.sweep.ranges import read_searched
from regtune.sweep.sweep import Sweep
from tests.resuming import SMALL, read

ROOT = Path(__file__).resolve().parent.parent


def published() -> pd.DataFrame:
    """Return the published table with a row for each cell that has a number."""
    text = (ROOT / "results" / "published" / "default_spaces.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    columns = [cell.strip().rsplit(" ", 1) for cell in lines[0].split("|")[3:-1]]
    rows = []
    for line in lines[1:]:
        method, place, *cells = (cell.strip() for cell in line.split("|")[1:-1])
        if method == "baseline":
            continue
        at, _, told = place.partition(" = ")
        values = [float(value) for value in told.split(", ")] if told else [float("nan")]
        for (setting, updates), cell in zip(columns, cells, strict=True):
            if cell not in ("", "–"):
                budget = (70, 700, 7000).index(int(updates.replace(",", "")))
                row = {
                    "setting": setting,
                    "updates": int(updates.replace(",", "")),
                    "method": method.strip("`"),
                    "at": at,
                }
                rows.append(row | {"value": values[min(budget, len(values) - 1)], "loss": float(cell.strip("*"))})
    return pd.DataFrame(rows)


ROWS = published()
MOST = 20.0


def patience(epochs: int, **settings: object) -> tuple[int, int]:
    space = read_searched(knobs(EarlyStopping), settings, "early_stopping", epochs=epochs)[1]["patience"]
    assert isinstance(space, IntDistribution)
    return space.low, space.high


@pytest.mark.parametrize(
    ("epochs", "ends"), [(30, (2, 8)), (7, (2, 3)), (1, (2, 3)), (60, (4, 16)), (100, (7, 27)), (700, (47, 187))]
)
def test_patience_is_a_share_of_the_epochs(epochs: int, ends: tuple[int, int]) -> None:
    """2 to 8 of 30, as ever; never below 2 evaluations."""
    assert patience(epochs) == ends


def test_patience_counts_evaluations() -> None:
    assert patience(300, every=10) == patience(30)
    assert patience(300, every=[1, 5, 10]) == patience(30), "the longest that is searched"
    assert patience(300, every={"low": 2, "high": 10}) == patience(30)


def test_what_the_file_says_of_patience_stands() -> None:
    assert patience(700, patience={"low": 2, "high": 8}) == (2, 8)
    row, space = read_searched(knobs(EarlyStopping), {"patience": 5}, "early_stopping", epochs=700)
    assert (row["patience"], space) == (5, {})
    with pytest.raises(Refused, match="patience"):
        patience(700, patience={"low": 0, "high": 8})


@given(st.integers(1, 10**6), st.integers(1, 50))
def test_a_share_is_a_range_within_what_is_legal(epochs: int, every: int) -> None:
    low, high = patience(epochs, every=every)
    assert 2 <= low < high <= 10**6
    assert low == 2 or abs(low - 2 * epochs / every / 30) <= 0.5
    assert high == low + 1 or abs(high - 8 * epochs / every / 30) <= 0.5


def test_no_other_range_depends_on_the_budget() -> None:
    for cls in REGULARIZERS.all().values():
        known = {name: k for name, k in knobs(cls).items() if k.stretch is None}
        short, long = (read_searched(known, {}, "it", epochs=epochs)[1] for epochs in (7, 700))
        assert short == long == {name: k.space for name, k in known.items() if k.space is not None}


def test_the_list_says_that_patience_grows_with_the_epochs() -> None:
    assert "search [2, 8] at 30 epochs, in proportion to them" in knob_line(knobs(EarlyStopping)["patience"])


def test_in_switches_groups_and_the_base_too(tmp_path: Path) -> None:
    text = SMALL.replace("epochs = 4", "epochs = 300")
    for arm in (
        "early_stopping = {}",
        "early_stopping = { switch = true }",
        "a = { one_of = { early_stopping = {} } }",
    ):
        sweep = read(tmp_path, text.replace("dropout = { dropout = {} }", f"it = {{ {arm} }}"))
        assert sweep.arm("it").space["early_stopping.patience"] == IntDistribution(20, 80)
    sweep = read(tmp_path, text.replace("[arms]", "[base]\nearly_stopping = {}\n[arms]"))
    assert sweep.arm("baseline").space["early_stopping.patience"] == IntDistribution(20, 80)


def test_sweeps_that_ship_search_what_they_searched() -> None:
    """The published tables of quickstart are of these ranges."""
    sweep = Sweep.read(ROOT / "sweeps" / "quickstart.toml")
    space = {path: dist for arm in sweep.arms for path, dist in arm.space.items()}
    assert space["early_stopping.patience"] == IntDistribution(2, 8)
    assert (getattr(space["l2.strength"], "low", 0), getattr(space["l2.strength"], "high", 0)) == (1e-5, 1e-1)


# The published measurement


def card(method: str) -> str:
    return inspect.getdoc(importlib.import_module(f"regtune.regularizers.{method}")) or ""


def test_every_default_range_was_measured_as_it_is() -> None:
    """Both ends at 70 and 700 updates, and what there is at 7,000 is of today's ranges.

    Where this fails: `python benchmarks/default_spaces.py --methods NAME --to results/published`.
    """
    for name, cls in REGULARIZERS.all().items():
        mine = ROWS[(ROWS["method"] == name) & (ROWS["setting"] == "mlp")]
        for updates in (70, 700, 7000):
            here = mine[mine["updates"] == updates].set_index("at")["value"]
            space = read_searched(knobs(cls), {}, name, epochs=updates // 10)[1]
            ends = {f"{k} {end}": getattr(dist, end) for k, dist in space.items() for end in ("low", "high")}
            if updates < 7000 or len(here):
                assert here.drop("default").to_dict() == pytest.approx(ends), f"{name} at {updates} updates"


def test_what_loses_more_than_20_points_is_on_the_card_and_nothing_else() -> None:
    poor = set(ROWS[ROWS["loss"] > MOST]["method"])
    explained = {name for name in REGULARIZERS.all() if re.search("^Range: .", card(name), flags=re.MULTILINE)}
    assert poor == explained
