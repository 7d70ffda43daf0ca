"""Cocktails run: a knob is searched only where its method is in, and a log is enough to resume from."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from regtune.analysis.comparison import comparison
from regtune.cli.sweeps import sweep_files
from regtune.core.errors import Refused
from regtune.core.records import Epoch, Outcome
from regtune.execution.preflight import preflight
from regtune.execution.run import run
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import load
from regtune.samplers import frozen
from regtune.samplers.tpe import STARTUP
from regtune.search.search import SearchScheduler
from regtune.storage.log import read_log
from regtune.sweep.arms import Arm
from regtune.sweep.sweep import Sweep
from regtune.training.recipe import Recipe
from tests.conftest import SWEEP, question, suggested

COCKTAIL = """{
  l2 = { switch = true },
  dropout = { switch = true, p_input = 0.1 },
  max_norm = { switch = true, c = 2.0 },
  mixing = { one_of = { mixup = {}, label_smoothing = { eps = [0.1, 0.2] } } },
  decay = { one_of = { exponential_decay = {}, linear_decay = {} }, none = false },
  early_stopping = {},
}"""
ALL = ["grid", "paired", "qmc", "random", "tpe"]


def inline(table: str) -> str:
    """Return a table on one line: TOML 1.0 has no others."""
    return " ".join(table.split()).replace(", }", " }")


def text_of(table: str, base: str = "") -> str:
    text = SWEEP.replace("dropout = { dropout = {} }\nmixup = { mixup = {} }", f"cocktail = {inline(table)}")
    return text.replace("[arms]", f"[base]\n{base}\n[arms]") if base else text


def sweep_of(folder: Path, table: str = COCKTAIL, base: str = "", **search: Any) -> Sweep:
    text = text_of(table, base)
    for name, value in search.items():
        old = next((row for row in text.splitlines() if row.startswith(f"{name} = ")), None)
        new = f"{name} = {json.dumps(value)}"
        text = text.replace(old, new) if old else text.replace("[search]", f"[search]\n{new}")
    path = folder / "small.toml"
    path.write_text(text)
    return Sweep.read(path)


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Arm:
    return sweep_of(tmp_path_factory.mktemp("arm")).arm("cocktail")


def names(recipe: tuple[dict[str, Any], ...]) -> list[str]:
    return [row["name"] for row in recipe]


def write(folder: Path, text: str) -> Path:
    path = folder / "small.toml"
    path.write_text(text)
    return path


# Suggestions.


def history(arm: Arm, count: int, seed: int, sampler: str = "tpe") -> list[optuna.trial.FrozenTrial]:
    """Return trials as an arm's scheduler would have them, each suggested from those before it."""
    draws, trials = random.Random(seed), list[optuna.trial.FrozenTrial]()
    for number in range(count):
        params = suggested(sampler, question(arm.space, arm.when, trials, seed + number))
        status: Any = draws.choice(["ok", "ok", "pruned", "diverged", None])
        trials.append(frozen(number, params, [draws.random() for _ in range(draws.randint(1, 3))], status, arm.space))
    return trials


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 25), sampler=st.sampled_from(ALL))
def test_what_is_suggested_is_every_knob_in_play_and_no_other(arm: Arm, seed: int, count: int, sampler: str) -> None:
    told = history(arm, count, seed, sampler)
    asked = question(arm.space, arm.when, told, seed)
    params = suggested(sampler, asked)
    in_play = {path for path in arm.space if path not in arm.when or arm.when[path].met(params)}
    assert set(params) == in_play
    assert list(params) == [path for path in arm.space if path in in_play], "in the order of the file"
    assert not arm.idle(params)
    for path, value in params.items():
        assert arm.space[path]._contains(arm.space[path].to_internal_repr(value))
    trial = arm.trial(json.loads(json.dumps(params)), seed=0, phase="search")
    Recipe.read(trial.recipe)
    chosen = set(names(trial.recipe))
    assert {"early_stopping"} <= chosen
    assert len(chosen & {"exponential_decay", "linear_decay"}) == 1
    assert len(chosen & {"mixup", "label_smoothing"}) == (params["mixing.one_of"] != "none")
    assert {m for m in ("l2", "dropout", "max_norm") if params[f"{m}.switch"]} == chosen & {"l2", "dropout", "max_norm"}
    assert suggested(sampler, asked) == params


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_plain_arm_gets_what_optuna_s_define_and_run_would_give_it(sampler: str) -> None:
    space: dict[str, optuna.distributions.BaseDistribution] = {
        "a.rate": FloatDistribution(1e-4, 0.3, log=True),
        "b.share": FloatDistribution(0.0, 0.5, step=0.1),
        "c.count": IntDistribution(1, 64, log=True),
        "d.mode": CategoricalDistribution(["fast", "slow", "off"]),
        "e.width": IntDistribution(2, 10, step=2),
        "f.free": FloatDistribution(-1.0, 1.0),
    }
    told = list[optuna.trial.FrozenTrial]()
    for number in range(30):
        asked = question(space, told=told, number=number)
        if sampler == "random":
            chosen: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=asked.seed)
        else:
            chosen = optuna.samplers.TPESampler(
                n_startup_trials=5, n_ei_candidates=24, multivariate=True, constant_liar=True, seed=asked.seed
            )
        study = optuna.create_study(direction="maximize", sampler=chosen)
        study.add_trials(told)
        params = suggested(sampler, asked)
        begins = sampler == "tpe" and number < STARTUP  # with the paired trials, whatever Optuna would draw
        assert params == (suggested("paired", asked) if begins else study.ask(dict(space)).params)
        assert list(params) == list(space)
        told.append(frozen(number, params, [params["a.rate"]], "ok" if number % 3 else None, space))


def test_optuna_says_nothing(arm: Arm, capfd: pytest.CaptureFixture[str]) -> None:
    history(arm, 30, seed=1)  # pytest turns warnings into errors
    assert capfd.readouterr() == ("", "")


def test_tpe_learns_which_of_a_group_is_better(arm: Arm) -> None:
    """Trials with mixup score higher: the later half has it more often than one of three choices would be."""
    told = list[optuna.trial.FrozenTrial]()
    for number in range(60):
        params = suggested("tpe", question(arm.space, arm.when, told, number))
        score = 0.9 - 0.1 * abs(params["mixup.alpha"] - 0.3) if params["mixing.one_of"] == "mixup" else 0.3
        told.append(frozen(number, params, [score], "ok", arm.space))
    later = Counter(trial.params["mixing.one_of"] for trial in told[30:])
    assert later["mixup"] > 15


@pytest.mark.slow
def test_suggestions_do_not_depend_on_the_hashes_of_words() -> None:
    """Python salts the hashes of words in every process; Optuna's groups are sets of words."""
    code = (
        "import json, sys; from pathlib import Path; sys.path[:0] = ['.']; import tests.test_cocktail as t; "
        "import tempfile; a = t.sweep_of(Path(tempfile.mkdtemp())).arm('cocktail'); "
        "print(json.dumps([x.params for x in t.history(a, 20, seed=5)]))"
    )
    root = Path(__file__).resolve().parent.parent
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True,
            env={"PATH": "", "PYTHONHASHSEED": salt, "PYTHONPATH": str(root)},
        ).stdout
        for salt in ("1", "2")
    ]  # fmt: skip
    assert printed[0] == printed[1]
    assert len(json.loads(printed[0])) == 20


def epoch(number: int, accuracy: float, outcome: Outcome | None) -> Epoch:
    return Epoch(
        number=number, objective=1.0, train_accuracy=0.5, train_loss=1.0, val_accuracy=accuracy, val_loss=1 - accuracy,
        learning_rate=0.1, kept=number, seconds=0.0, outcome=outcome,
    )  # fmt: skip


@pytest.mark.parametrize("sampler", ALL)
def test_a_scheduler_rebuilt_from_what_was_told_asks_as_the_live_one(tmp_path: Path, sampler: str) -> None:
    sweep, draws = sweep_of(tmp_path, trials=14, sampler=sampler, pruner="asha"), random.Random(3)
    live, told = SearchScheduler(sweep), list[tuple[str, Any]]()
    while (asked := live.ask()) is not None:
        rebuilt = SearchScheduler(sweep)
        for kind, values in told:
            getattr(rebuilt, kind)(*values)
        assert rebuilt.ask() == asked
        # As the log has it: through JSON.
        told.append(("asked_before", (asked._replace(params=json.loads(json.dumps(asked.params))),)))
        for number in range(1, sweep.training.epochs + 1):
            accuracy = draws.random()
            last = number == sweep.training.epochs
            metrics = {"val_accuracy": accuracy, "val_loss": 0.5}
            outcome = Outcome(status="ok", kept=1, metrics=metrics) if last else None
            told.append(("tell", (asked.key, epoch(number, accuracy, outcome))))
            if live.tell(asked.key, told[-1][1][1]) == "stop":
                outcome = Outcome(status="pruned")
            if outcome is not None:
                live.end(asked.key, outcome)
                told.append(("end", (asked.key, outcome)))
                break


# Whole sweeps.


def test_a_sweep_with_a_cocktail_runs_confirms_and_is_readable(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, trials=8, sampler="tpe", pruner="none")
    log = run(sweep, tmp_path, in_process=True)
    results = load(log)
    trials = results.trials[results.trials["arm"] == "cocktail"]
    assert set(trials["status"]) == {"ok"}
    asked = {(*row["cell"],): row for row in read_log(log)[0] if row["event"] == "asked"}
    best = asked["cocktail", "confirm", 0]
    for number in range(3):
        again = asked["cocktail", "confirm", number]
        assert again["params"] == best["params"]
        assert again["trial"]["recipe"] == best["trial"]["recipe"]
    table = comparison(results).set_index("arm")
    assert json.loads(str(table.loc["cocktail", "knobs"])) == best["params"]
    assert table.loc["cocktail", "n"] == 3
    line = next(row for row in markdown(tables(results)).splitlines() if row.startswith("| cocktail"))
    assert f"dropout={'on' if best['params']['dropout.switch'] else 'off'}, " in line
    assert f"mixing={best['params']['mixing.one_of']}, " in line
    assert "switch" not in line and "one_of" not in line
    before = log.read_bytes()
    run(sweep_of(tmp_path, trials=8, sampler="tpe", pruner="none"), tmp_path, in_process=True)
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda text: text.replace("mixup = {}, ", ""), r"arms\.cocktail\.conditions\.mixup"),
        (lambda text: text.replace("{ switch = true, p_input", "{ p_input"), r"arms\.cocktail\.conditions\.dropout"),
        (lambda text: text.replace(", none = false", ""), r"arms\.cocktail\.space\.decay\.one_of"),
        (lambda text: text.replace("mixing =", "mixture ="), r"arms\.cocktail\.conditions\.label_smoothing"),
    ],
)
def test_a_changed_cocktail_is_another_sweep(change: Callable[[str], str], differs: str, tmp_path: Path) -> None:
    text = text_of(COCKTAIL).replace("trials = 4", "trials = 1").replace("seeds = 3", "seeds = 0")
    run(Sweep.read(write(tmp_path, text)), tmp_path, in_process=True)
    assert change(text) != text
    with pytest.raises(Refused, match=f"holds a sweep that differs in .*{differs}"):
        run(Sweep.read(write(tmp_path, change(text))), tmp_path, in_process=True)


def test_the_header_of_a_plain_arm_is_what_it_was(arm: Arm, tmp_path: Path) -> None:
    plain = sweep_of(tmp_path).plain()["arms"]
    assert set(plain["baseline"]) == {"template", "space", "trials"}
    assert plain["cocktail"]["conditions"]["dropout"] == "dropout.switch=true"


def test_slots_are_checked_for_every_method_that_an_arm_could_hold(tmp_path: Path) -> None:
    for table in (
        "{ stochastic_depth = { switch = true } }",
        "{ a = { one_of = { l1 = {}, stochastic_depth = {} } } }",
    ):
        path = write(tmp_path, text_of(table).replace("residual = true", "residual = false"))
        with pytest.raises(Refused, match=r"^arms\.cocktail: stochastic_depth needs a network with a slot"):
            preflight(Sweep.read(path))


OF_DIGITS = [
    file for file in sweep_files() if tomllib.loads(file.read_text(encoding="utf-8"))["data"]["name"] == "digits"
]


@pytest.mark.parametrize("file", OF_DIGITS, ids=lambda file: str(file.name))
def test_every_sweep_that_ships_on_data_that_ship_can_be_trained(file: Path) -> None:
    """Of the others see test_shipped_sweeps.py."""
    preflight(Sweep.read(file))


def test_the_cocktail_that_ships_runs(tmp_path: Path) -> None:
    text = next(file for file in sweep_files() if file.stem == "cocktail").read_text(encoding="utf-8")
    for old, new in (("epochs = 30", "epochs = 2"), ("trials_per_knob = 5", "trials = 2"), ("seeds = 10", "seeds = 1")):
        assert old in text
        text = text.replace(old, new)
    table = comparison(load(run(Sweep.read(write(tmp_path, text)), tmp_path, in_process=True))).set_index("arm")
    assert table.loc["cocktail", "n"] == 1
    assert not table["search_missing"].any()
