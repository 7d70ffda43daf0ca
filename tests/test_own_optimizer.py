"""An optimizer of a user: in the registry, trained, searched, resumed, beside others in a lane, and shipped."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from regtune.cli.catalog import cards, others
from regtune.core.errors import Refused
from regtune.core.knobs import plain_settings
from regtune.core.sources import plugin_fingerprint
from regtune.execution.preflight import preflight
from regtune.execution.ray.package import packaged
from regtune.execution.retry import _uses
from regtune.optimizers import OPTIMIZERS, SGD
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.training.lane import Lane
from regtune.training.trainer import train
from tests.conftest import same, small_trial, trained
from tests.plugin_optimizers import Gives, SignDescent
from tests.resuming import SMALL, ran, read

PLUGINS = ("tests.plugin_optimizers",)
ROW = {"name": "sign_descent", "learning_rate": 0.01, "beta": 0.5, "push": False}
TABLE = 'name = "sign_descent"\nbeta = { low = 0.1, high = 0.9 }\n'
SIGNED = f'plugins = ["{PLUGINS[0]}"]\n' + SMALL.replace("[optimizer]\n", f"[optimizer]\n{TABLE}")

IDS = {"sgd": "f7320d8914c8", "adamw": "569915faba39"}  # of before there was a registry


def signed(seed: int = 7, **knobs: Any) -> Any:
    return small_trial([{"name": "dropout"}], optimizer=ROW | knobs, seed=seed, plugins=PLUGINS)


def test_the_registry_has_what_a_plugin_brings_and_ours_under_the_names_that_they_had() -> None:
    assert list(OPTIMIZERS.all()) == ["adamw", "sgd"]
    assert list(OPTIMIZERS.all(PLUGINS)) == ["adamw", "gives", "sgd", "sign_descent"]
    with pytest.raises(
        Refused, match=r"optimizer\.name: unknown optimizer 'sign_decent' \(did you mean 'sign_descent'"
    ):
        OPTIMIZERS.find("sign_decent", "optimizer.name", PLUGINS)


def test_the_ids_of_trials_are_what_they_were() -> None:
    """An id is the hash of the whole trial: a setting more, or another name, and no log could go on."""
    assert small_trial(optimizer="sgd").id == IDS["sgd"]
    assert small_trial(optimizer="adamw").id == IDS["adamw"]


def test_it_is_the_rule_that_it_says() -> None:
    params, grads = {"w": torch.tensor([1.0, -1.0])}, {"w": torch.tensor([3.0, -0.5])}
    optimizer = SignDescent(beta=0.5)
    moments = optimizer.start(params)
    optimizer.update(params, grads, moments, learning_rate=0.1, step=0)
    assert torch.allclose(params["w"], torch.tensor([0.9, -0.9]))


def test_it_trains_and_resumes_bitwise() -> None:
    whole, first = trained(signed()), Lane((signed(),))
    next(first)
    second = Lane((signed(),), resume=first.checkpoint())
    list(second)
    assert same(whole.state.params, second.state.params)
    assert same(whole.state.moments["mean"], second.state.moments["mean"])
    assert not same(whole.state.params, trained(replace(signed(), optimizer=ROW | {"beta": 0.9})).state.params)
    epochs = list(train(signed()))
    assert epochs[-1].outcome is not None and epochs[-1].outcome.status == "ok"


def test_neighbours_in_a_lane_change_nothing() -> None:
    trials = [signed(seed=seed, beta=beta) for seed, beta in ((1, 0.5), (2, 0.9), (3, 0.1))]
    one, two = Lane(trials[:2]), Lane([trials[0], trials[2]])
    list(one), list(two)
    for name, value in one.state.params.items():
        assert torch.equal(value[0], two.state.params[name][0])
    with pytest.raises(Refused, match="must agree in optimizer"):
        Lane([trials[0], signed(seed=4, push=True)])


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", r"gives\.update: expected \(params, moments\), given NoneType"),
        ("other_names", r"gives\.update: expected weights of the names and shapes that they had"),
        ("other_moments", r"gives\.update: expected moments of the names and shapes that start gave"),
        ("no_start", r"gives\.start: expected moments, a dict of dicts of tensors by kind and name, given int"),
    ],
)
def test_what_it_returns_is_held_to_what_it_should_be(what: str, said: str) -> None:
    row = {"name": "gives", **plain_settings(Gives(what=what))}
    with pytest.raises(Refused, match=said):
        next(train(small_trial(optimizer=row, plugins=PLUGINS)))


def test_one_that_begins_with_the_weights_themselves_remembers_them() -> None:
    row = {"name": "gives", **plain_settings(Gives(what="weights"))}
    lane = Lane((small_trial(optimizer=row, plugins=PLUGINS),))
    begun = {name: value.clone() for name, value in lane.state.params.items()}
    next(lane)
    assert same(lane.state.moments["first"], begun) and not same(lane.state.params, begun)


def test_it_is_listed_and_has_a_card() -> None:
    rows = {row[1]: row for row in others(["optimizers"], PLUGINS)}
    assert (
        "beta = 0.9 in [0, 1)" in rows["sign_descent"][2] and rows["sign_descent"][3] == "The sign of a running mean."
    )
    (card,) = cards(["sign_descent"], PLUGINS)
    assert "  beta = 0.9 in [0, 1): how much of the mean stays" in card
    (ours,) = cards(["adamw"])
    assert ours.startswith("AdamW: an adaptive step") and "Source: I. Loshchilov" in ours


def test_a_sweep_searches_its_knobs_and_is_examined(tmp_path: Path) -> None:
    sweep = read(tmp_path, SIGNED)
    assert "optimizer.beta" in sweep.arms[0].space
    assert sweep.plain()["plugins"] == {PLUGINS[0]: plugin_fingerprint(PLUGINS[0])}
    preflight(sweep)
    assert _uses(sweep, sweep.arms[0], PLUGINS[0]), "what is trained again where the plugin was mended"
    log = ran(tmp_path, SIGNED)
    results = load(log)
    assert set(results.trials["status"]) == {"ok"}
    asked = [row["trial"]["optimizer"] for row in read_log(log)[0] if row["event"] == "asked"]
    assert all(row["name"] == "sign_descent" and 0.1 <= row["beta"] <= 0.9 for row in asked)
    with pytest.raises(Refused, match=r"optimizer: unknown knob 'bta' \(did you mean 'beta'\?\)"):
        read(tmp_path, SIGNED.replace("beta =", "bta ="))
    with pytest.raises(Refused, match=r"optimizer\.name: unknown optimizer 'sign_descent'"):
        read(tmp_path, SIGNED.partition("\n")[2])


def test_it_travels_with_what_is_submitted(tmp_path: Path) -> None:
    """The parcel alone, in a process that has neither this checkout nor the tests on its path."""
    with packaged(read(tmp_path, SIGNED), tmp_path / "small.toml") as parcel:
        code = (
            "import json; from regtune.sweep.sweep import Sweep; from regtune.training.build import build_optimizer\n"
            "arm = Sweep.read('small.toml').arms[0]; params = {path: 0.5 for path in arm.space}\n"
            "trial = arm.trial(params, seed=0, phase='search')\n"
            "print(json.dumps([build_optimizer(trial).beta, build_optimizer(trial).__module__]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=parcel, capture_output=True, text=True, check=True, timeout=120,
            env={"PYTHONPATH": str(parcel)},
        )  # fmt: skip
    assert json.loads(done.stdout) == [0.5, PLUGINS[0]]


def test_ours_begin_with_what_they_are() -> None:
    assert OPTIMIZERS.find("sgd", "optimizer") is SGD
