"""What a sweep file that says little asks for, and what TPE begins with."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pandas as pd
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial

from regtune.cli.sweeps import sweep_files
from regtune.reports.brief import brief
from regtune.reports.output import formatted
from regtune.results.loader import load
from regtune.samplers import frozen
from regtune.samplers.tpe import STARTUP
from regtune.sweep.sweep import Sweep
from regtune.training.trainer import train
from tests.conftest import question, suggested
from tests.made_up import made_up_log

MINIMAL = """
[data]
{data}
[network]
name = "mlp"
[optimizer]
learning_rate = {{ low = 0.001, high = 0.3, log = true }}
[training]
epochs = 4
batch = 16
[arms]
baseline = {{}}
dropout = {{ dropout = {{}} }}
[search]
trials = 3
{more}
"""
SCORES = {"base": (0.5, 0.52, 0.49, 0.53), "sure": (0.7, 0.71, 0.69, 0.74), "poor": (0.3, 0.31, 0.3, 0.34)}


def minimal(folder: Path, data: str, more: str = "") -> Sweep:
    path = folder / "minimal.toml"
    path.write_text(MINIMAL.format(data=data, more=more))
    return Sweep.read(path)


@pytest.mark.parametrize(
    ("data", "splits"),
    [
        ('name = "digits"\ntest = 1000', "fresh"),
        ('name = "digits"', "one"),
        ('name = "synthetic"', "one"),
        ('name = "mnist"', "fresh"),
        ('name = "npz"\npath = "nowhere"', "fresh"),
    ],
)
def test_splits_are_fresh_where_the_test_split_is_fixed_and_no_data_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, splits: str
) -> None:
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path / "nothing"))
    sweep = minimal(tmp_path, data)
    assert sweep.confirm.splits == splits
    assert sweep.plain()["confirm"]["splits"] == splits, "the log has what was meant"
    assert (sweep.search.sampler, sweep.select.seeds, sweep.search.pruner) == ("paired", 5, "cautious")
    assert (sweep.scope, sweep.plain()["confirm"]["scope"]) == ("searches", "searches")
    assert [arm.name for arm in sweep.arms if sweep.can_be_off(arm)] == ["dropout"]


@pytest.mark.parametrize("asked", ["one", "fresh"])
def test_what_the_file_says_of_splits_stands(tmp_path: Path, asked: str) -> None:
    for data in ('name = "digits"', 'name = "mnist"'):
        assert minimal(tmp_path, data, f'[confirm]\nsplits = "{asked}"').confirm.splits == asked


@pytest.mark.parametrize("more", ['sampler = "tpe"', 'pruner = "asha"', "[select]\nseeds = 0", "repeats = 2"])
def test_without_what_searches_take_verdicts_are_about_the_configuration(tmp_path: Path, more: str) -> None:
    sweep = minimal(tmp_path, 'name = "digits"', more)
    assert sweep.scope == "configuration"
    assert "scope" not in sweep.plain()["confirm"]


def test_a_network_learns_random_labels_by_heart() -> None:
    """What quickstart opens with: all 200 training labels right, and others no more often than by chance."""
    path = next(path for path in sweep_files() if path.name == "random_labels.toml")
    *_, last = train(Sweep.read(path).arms[0].trial({}, seed=0, phase="confirm"))
    metrics = last.outcome.metrics if last.outcome else {}
    assert metrics["train_accuracy"] == 1.0
    assert abs((metrics["test_accuracy"] or 0.0) - 0.1) < 4 * (0.1 * 0.9 / 1000) ** 0.5


def test_tpe_begins_with_the_paired_trials_and_then_learns() -> None:
    rate: dict[str, BaseDistribution] = {"optimizer.learning_rate": FloatDistribution(1e-3, 0.3, log=True)}
    space = {**rate, "dropout.p_hidden": FloatDistribution(0.1, 0.5)}
    shared, told = frozenset(rate), list[FrozenTrial]()
    for number in range(STARTUP):
        asked = question(space, told=told, number=number)
        mine = suggested("tpe", dataclasses.replace(asked, stream="sweep/0/mine", shared=shared))
        other = suggested(
            "tpe", dataclasses.replace(question(rate, number=number), stream="sweep/0/other", shared=shared)
        )
        assert mine == suggested("paired", dataclasses.replace(asked, stream="sweep/0/mine", shared=shared))
        assert other.items() <= mine.items(), "all arms try the same learning rates"
        told.append(frozen(number, mine, [0.1 * number], "ok", space))
    asked = dataclasses.replace(question(space, told=told, number=STARTUP), stream="sweep/0/mine", shared=shared)
    worse_last = [frozen(n, trial.params, [-0.1 * n], "ok", space) for n, trial in enumerate(told)]
    turned = dataclasses.replace(question(space, told=worse_last, number=STARTUP), stream="sweep/0/mine", shared=shared)
    assert suggested("tpe", asked) != suggested("paired", asked)
    assert suggested("tpe", asked) != suggested("tpe", turned), "from here on it looks at scores"


@pytest.mark.parametrize("terms", [{}, {"scope": "searches"}])
def test_a_verdict_from_one_search_says_that_it_is_about_this_configuration(
    tmp_path: Path, terms: dict[str, str]
) -> None:
    """A log that says nothing, as those of before, is about the configuration."""
    folder = made_up_log(tmp_path, SCORES, search=("ok",), terms={"confirm": terms, "search": {"sampler": "paired"}})
    table, text = formatted([folder], "md"), " ".join(brief([folder], 80).split())
    once = not terms
    assert ("| this configuration: better |" in " ".join(table.split())) == once
    assert ("| this configuration: worse |" in " ".join(table.split())) == once
    assert ("Better than base, this configuration: sure" in text) == once
    assert ("Worse, this configuration: poor" in text) == once
    assert ("may find other configurations" in text) == ("may find other configurations" in table) == once
    rows = pd.read_csv(io.StringIO(formatted([folder], "csv")))
    assert set(rows["scope"]) == {"configuration" if once else "searches"}
    assert not rows["verdict"].astype(str).str.contains("configuration").any(), "code reads these"


def test_over_repeats_a_verdict_is_better_or_worse(tmp_path: Path) -> None:
    for repeat in (1, 2, 3):
        more = {arm: [score + 0.001 * repeat * len(arm) for score in scores] for arm, scores in SCORES.items()}
        place = tmp_path if repeat == 1 else tmp_path / f"repeat-{repeat}"
        made_up_log(place, more, search=("ok",), repeat=repeat)
    assert "Better than base: " in brief([tmp_path], 200)
    assert "this configuration" not in brief([tmp_path], 200)
    assert load(tmp_path).repeat == 1
