"""EMA's warm-up came later: trials of before keep their ids and bits, and are never mixed with those of today."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regtune.core.errors import Refused
from regtune.core.knobs import knobs
from regtune.core.late_knobs import LATER, read_back, written
from regtune.core.records import Json, Trial
from regtune.regularizers import REGULARIZERS
from regtune.storage.compatibility import changed
from regtune.storage.log import read_log
from tests.conftest import same, small_trial, trained
from tests.resuming import SMALL, ran, read, trained_epochs

BEFORE = {"name": "ema", "decay": 0.97}
EMA = SMALL.replace("dropout = { dropout = {} }", "ema = { ema = {} }")
GROUP = SMALL.replace("dropout = { dropout = {} }", "mean = { averaging = { one_of = { ema = {}, swa = {} } } }")
SWITCH = SMALL.replace("dropout = { dropout = {} }", "ema = { ema = { switch = true } }")


def of_a_log(recipe: list[Json]) -> Trial:
    """Return the trial of a row that a log of before has."""
    return Trial.from_plain(small_trial().plain() | {"recipe": recipe})


def test_a_trial_of_before_keeps_its_id_and_its_average() -> None:
    """The ids were printed by the version before; the average is that from the initial weights on."""
    assert of_a_log([BEFORE]).id == "aa332b382731"
    assert of_a_log([{"name": "ema", "decay": 0.999}]).id == "db8a73f0abe8"
    assert "warm_up" not in json.dumps(of_a_log([BEFORE]).plain())
    ours = trained(of_a_log([BEFORE]))
    same_as = trained(small_trial([BEFORE | {"warm_up": False}]))
    assert same(ours.kept[0][0], same_as.kept[0][0])
    assert not same(ours.kept[0][0], trained(small_trial([BEFORE])).kept[0][0])
    # As printed by the version before, on another machine maybe: to rounding.
    assert ours.epochs[0][-1].val_loss == pytest.approx(1.2135238529279644, rel=1e-4)


RECIPES = (
    [{"name": "ema"}],
    [BEFORE],
    [{"name": "l2"}, BEFORE | {"warm_up": True}],
    [BEFORE | {"warm_up": False}, {"name": "swa", "start": 0.5}],
    [{"name": "dropout", "p_hidden": 0.5}],
)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_trial_of_today_goes_to_workers_and_back_as_it_is(recipe: list[Json]) -> None:
    trial = small_trial(recipe)
    back = Trial.from_plain(json.loads(json.dumps(trial.plain())))
    assert back.id == trial.id
    assert Trial.from_plain(back.plain()) == back
    if len(recipe) == 1:
        assert same(trained(back).kept[0][0], trained(trial).kept[0][0])


def test_trials_of_today_have_other_ids_than_those_of_before() -> None:
    today = {small_trial([row]).id for row in (BEFORE, BEFORE | {"warm_up": True})}
    assert len(today) == 1
    assert of_a_log([BEFORE]).id == small_trial([BEFORE | {"warm_up": False}]).id
    assert of_a_log([BEFORE]).id not in today


@given(st.dictionaries(st.sampled_from(["decay", "warm_up", "name", "p"]), st.sampled_from(["ema", "swa", 0.5, True])))
def test_a_row_that_was_written_is_read_back_as_it_is_written(row: dict[str, Any]) -> None:
    once = written(row)
    assert written(read_back(once)) == once
    assert read_back(read_back(once)) == read_back(once)
    if row.get("name") != "ema":
        assert once == row == read_back(row)


def test_later_knobs_are_knobs_of_their_methods() -> None:
    for name, known in LATER.items():
        for knob, later in known.items():
            k = knobs(REGULARIZERS.all()[name])[knob]
            assert k.default == later.now
            assert k.late == (later.now == later.before)
            assert k.read(later.before, knob) == later.before


def before(sweep: Json) -> Json:
    """Return a sweep as the version before wrote it."""
    plain: Json = json.loads(json.dumps(sweep))
    for arm in plain["arms"].values():
        arm["template"]["recipe"] = [
            {name: value for name, value in row.items() if name != "warm_up"} for row in arm["template"]["recipe"]
        ]
    return plain


def said(text: str) -> str:
    """Return a sweep file whose EMA is that of before."""
    return re.sub(r"(one_of = {|ema = {) ema = {(.*?)}", r"\1 ema = { warm_up = false,\2}", text).replace(",}", " }")


@pytest.mark.parametrize("text", [EMA, GROUP, SWITCH])
def test_a_sweep_of_before_is_not_gone_on_with_unless_the_file_says_so(text: str, tmp_path: Path) -> None:
    sweep = read(tmp_path, text).plain()
    with pytest.raises(Refused, match=r"recipe\.0\.warm_up: nothing -> True"):
        changed(before(sweep), json.loads(json.dumps(sweep)))
    as_before = read(tmp_path, said(text))
    assert json.loads(json.dumps(as_before.plain())) == before(sweep)


def test_a_finished_sweep_of_before_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = EMA.replace("ema = {} }", "ema = { warm_up = false } }")
    log = ran(tmp_path, text)
    assert "warm_up" not in log.read_text(), "the log is one of before"
    content = log.read_bytes()
    with trained_epochs(monkeypatch) as epochs:
        assert ran(tmp_path, text) == log
        with pytest.raises(Refused, match="give the changed sweep another name"):
            ran(tmp_path, EMA)
    assert not epochs
    assert log.read_bytes() == content


def test_trials_of_a_sweep_of_today_say_that_they_warm_up(tmp_path: Path) -> None:
    log = ran(tmp_path, EMA)
    asked = [row["trial"] for row in read_log(log)[0] if row["event"] == "asked" and row["cell"][0] == "ema"]
    assert asked
    assert all(trial["recipe"][0]["warm_up"] is True for trial in asked)
    assert all(Trial.from_plain(trial).id == Trial.from_plain(json.loads(json.dumps(trial))).id for trial in asked)


def test_a_knob_at_what_was_done_before_leaves_rows_and_sweeps_as_they_were(tmp_path: Path) -> None:
    """The row is that of the published log of `pretraining_low_data_100`."""
    old = {
        "name": "denoising_autoencoder",
        "epochs": 10,
        "noise": "masking",
        "corruption_level": 0.3,
        "learning_rate": 0.001,
        "batch": 100,
        "pictures": "all",
    }
    assert small_trial([old]).id == small_trial([old | {"layerwise": False}]).id
    assert small_trial([old]).id != small_trial([old | {"layerwise": True}]).id
    arm = "coded = { denoising_autoencoder = { epochs = 10, corruption_level = 0.3 } }"
    sweep = read(tmp_path, SMALL.replace("dropout = { dropout = {} }", arm)).plain()
    assert sweep["arms"]["coded"]["template"]["recipe"] == [old]
