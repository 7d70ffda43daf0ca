"""The replication benchmark: what sweeps say together, and lanes in place of one trial after the other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from lanes import by_lanes
from replicas import covered, false_verdicts, summary
from replication import is_over, nth, verdicts_of

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.data import DataLocation
from regtune.execution.run import run
from regtune.results.loader import Results, load
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP
from tests.test_splits import FRESH, own_sweep

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


def by_both(sweep: Sweep, folder: Path, place: DataLocation | None = None) -> list[Results]:
    ways = {"alone": None, "lanes": by_lanes(sweep, width=3)}
    return [load(run(sweep, folder / way, in_process=True, launch=launch, place=place)) for way, launch in ways.items()]


def near(one: Results, two: Results) -> None:
    keys = ["arm", "phase", "number", "epoch"]
    first, second = (results.epochs.sort_values(keys, ignore_index=True) for results in (one, two))
    assert first[keys].equals(second[keys])
    assert first["val_loss"].to_list() == pytest.approx(second["val_loss"].to_list(), rel=1e-3)
    assert first["train_loss"].to_list() == pytest.approx(second["train_loss"].to_list(), rel=1e-3)


@pytest.mark.parametrize("terms", ["", "racing = true\nfirst = 3"])
def test_lanes_tell_a_phase_what_one_trial_after_the_other_does(tmp_path: Path, terms: str) -> None:
    one, two = by_both(read(tmp_path, lambda text: f"{text}\n{terms}"), tmp_path)
    assert one.trials["status"].to_list() == two.trials["status"].to_list()
    assert one.trials["params"].to_list() == two.trials["params"].to_list()
    near(one, two)


def test_a_driver_that_was_killed_between_trials_goes_on_with_the_others(tmp_path: Path) -> None:
    sweep, ended = read(tmp_path), Counter[str]()

    def killed(event: str, row: Json) -> None:
        ended[event] += 1
        if ended["ended"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(sweep, tmp_path / "killed", watch=killed, launch=by_lanes(sweep, width=3))
    again = load(run(sweep, tmp_path / "killed", launch=by_lanes(sweep, width=3)))
    whole = load(run(sweep, tmp_path / "whole", launch=by_lanes(sweep, width=3)))
    assert set(again.trials["status"]) == {"ok"}
    near(again, whole)


def test_lanes_run_trials_with_splits_of_their_own(tmp_path: Path) -> None:
    path, place = own_sweep(tmp_path, FRESH.replace("population = 1", 'pruner = "none"')), DataLocation(root=tmp_path)
    path.write_text(path.read_text().replace("[data]", "[data]\nlabel_noise = 0.25"))
    sweep = Sweep.read(path)
    one, two = by_both(sweep, tmp_path, place)
    seeds = {row["data"]["split_seed"] for key, row in two.plain_trials.items() if key.phase == "confirm"}
    assert len(seeds) == 3
    assert one.chosen == two.chosen
    near(one, two)


def test_a_member_that_diverges_ends_as_it_does_alone(tmp_path: Path) -> None:
    sweep = read(tmp_path, lambda text: text.replace("high = 0.3", "high = 1000.0"))
    one, two = by_both(sweep, tmp_path)
    statuses = one.trials["status"].to_list()
    assert "diverged" in statuses
    assert "ok" in statuses
    assert statuses == two.trials["status"].to_list()


@pytest.mark.parametrize(
    ("search", "confirm", "words"),
    [
        ({"sampler": "tpe"}, {}, "expected search.sampler of grid, paired, qmc, random, given 'tpe'"),
        ({"pruner": "asha"}, {}, "expected search.pruner 'none', given 'asha'"),
        ({}, {"retrain": "epochs"}, "expected confirm.retrain 'none', given 'epochs'"),
    ],
)
def test_sweeps_that_wait_for_results_are_refused(
    tmp_path: Path, search: dict[str, str], confirm: dict[str, str], words: str
) -> None:
    sweep = read(tmp_path)
    update = {"search": sweep.search.model_copy(update=search), "confirm": sweep.confirm.model_copy(update=confirm)}
    with pytest.raises(Refused, match=words):
        by_lanes(sweep.model_copy(update=update))


def test_verdicts_are_those_of_the_products_tables(tmp_path: Path) -> None:
    sweep = nth(read(tmp_path), 300)
    assert not is_over(sweep.folder(tmp_path), 1)
    folder = run(sweep, tmp_path, in_process=True, launch=by_lanes(sweep)).parent
    assert is_over(folder, 1)
    assert not is_over(folder, 2)
    found = verdicts_of(folder)
    assert list(found["arm"]) == ["dropout", "mixup"]
    assert list(found.columns) == ["arm", "verdict", "difference", "low", "high"]
    assert load(folder).trials.set_index(["arm", "phase", "number"]).loc[("dropout", "confirm", 0), "seed"] == (
        sweep.confirm_seed(0)
    )
