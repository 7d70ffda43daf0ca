"""Further sources of transfer: a network that was exported, and the classes that the data leave out."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.knobs import plain_settings
from regtune.core.records import Trial, TrialKey
from regtune.core.rng import Rng
from regtune.core.state import Tensors
from regtune.data import Splits
from regtune.execution.export import export, load_network
from regtune.execution.reuse import reusable, reusing
from regtune.execution.trial_environment import data_identity
from regtune.regularizers import Transfer
from regtune.regularizers._pretraining import features
from regtune.reports.tables.budget import PRETRAINED, budget_caption
from regtune.reports.tables.caption import source_words
from regtune.results.loader import load
from regtune.training import pretraining
from regtune.training.build import load_data, load_pool, start_network
from regtune.training.lane import Lane
from regtune.training.recipe import Recipe
from regtune.training.trainer import weights_of
from tests.conftest import row, same, small_trial, trained
from tests.resuming import SMALL, assert_same_results, ran, read, rows_of, stopped

NOISE = Rng(seed=3, prefix="pretraining/")
NORMED = {"name": "mlp", "widths": [12, 12], "batch_norm": True}
OTHER = {"name": "digits", "train": 60, "validation": 40, "test": 300, "classes": [5, 6, 7, 8, 9]}


def trial_of(*methods: Transfer, **changes: Any) -> Trial:
    return small_trial([row("transfer", one) for one in methods], **({"network": NORMED} | changes))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a trained network as it is exported, of other classes and other pictures, and make its folder the root."""
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path))
    data = {"name": "synthetic", "train": 60, "side": 6, "classes": 7, "split_seed": 5}
    trial = trial_of(seed=3, data=data)
    (tmp_path / "net.pt").write_bytes(weights_of(trained(trial).kept[0], load_data(trial)))
    return tmp_path / "net.pt"


def given(path: str = "net.pt", **knobs: Any) -> Transfer:
    return Transfer(epochs=0, weights=path, **knobs)


def saved(file: Path) -> tuple[Tensors, Tensors]:
    content = torch.load(file, weights_only=True)
    return content["params"], content["buffers"]


def test_all_layers_but_the_last_begin_as_they_were_exported(file: Path) -> None:
    params, buffers = saved(file)
    ours, plain = Lane((trial_of(given()),)).state, Lane((trial_of(),)).state
    for name, value in ours.params.items():
        last = name.startswith("head.")
        assert torch.equal(value, (plain.params if last else params)[name])
        assert last or "bias" in name or "norm" in name or not torch.equal(value, plain.params[name])
    assert same(ours.buffers, buffers), "running statistics, and the normalization of its pictures"
    assert not torch.equal(buffers["normalize.mean"], plain.buffers["normalize.mean"])


def test_features_are_those_of_the_exported_network(tmp_path: Path) -> None:
    """Of a sweep's network by `regtune export`, on the same pictures, digit for digit."""
    results = load(ran(tmp_path, SMALL.replace("weights = false", "weights = true")).parent)
    path = export(results, "baseline", None, tmp_path)[0]
    trial = small_trial([row("transfer", given(str(path)))], network={"name": "mlp", "widths": [12]}, data=OF_SWEEP)
    data = load_data(trial)
    net, _ = pretraining.pretrained(Recipe.read(trial.recipe), start_network(trial, data), data)
    x = data.validation.images
    with torch.no_grad():
        assert torch.equal(features(net.eval(), x), features(load_network(path).net, x))


OF_SWEEP = {"name": "synthetic", "train": 48, "validation": 32, "test": 37, "noise": 0.6}


def test_weights_arrive_in_every_trial_of_a_lane_and_nothing_counts_as_pretraining(file: Path) -> None:
    lane = Lane([trial_of(given(freeze=1), seed=seed) for seed in (7, 8, 9)])
    params, _ = saved(file)
    for name, values in lane.state.params.items():
        if not name.startswith("head."):
            assert all(torch.equal(value, params[name]) for value in values)
    for _ in lane:
        pass
    for place in range(3):
        kept = lane.kept_at(place)[0]
        stay = {name for name in kept if torch.equal(kept[name], params[name])}
        assert stay == {name for name in kept if name.startswith("layers.0.")}
    first = lane.epochs[0][0]
    assert (first.pretraining_examples, first.pretraining_seconds) == (0, 0.0)
    assert len(first.pretrained) == 32, "the log says which weights"
    assert not lane.epochs[0][1].pretrained
    assert not list(file.parent.rglob("pretrained/*.pt")), "they are not kept once more"


def test_a_sweep_goes_on_bit_for_bit_and_its_tables_say_where_weights_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(ran(tmp_path, SMALL.replace("weights = false", "weights = true")).parent)
    path = export(first, "baseline", None, tmp_path)[0]
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path))
    arm = f'moved = {{ transfer = {{ weights = "{path.name}", epochs = 0, learning_rate_factor = 0.5 }} }}'
    text = SMALL.replace("dropout = { dropout = {} }", arm)
    folders = [tmp_path / name for name in ("whole", "cut")]
    for folder in folders:
        folder.mkdir()
    whole = ran(folders[0], text)
    log = stopped(folders[1], TrialKey("moved", "confirm", 1), 2, text)
    assert_same_results(ran(folders[1], text), whole)
    assert len(rows_of(log, "started")) > len(rows_of(whole, "started")), "a trial was begun again"
    results = load(whole)
    noted = results.epochs.query("epoch == 1 and arm == 'moved'")["pretrained"]
    assert noted.str.len().eq(32).all(), "in every trial"
    said = "Begun with the weights of a file, what these have cost is not counted: moved (baseline.pt)."
    assert source_words(results.sweep) == said
    assert PRETRAINED not in budget_caption(results)


def test_another_file_of_weights_is_told_on_resuming_and_what_it_began_is_not_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(ran(tmp_path, SMALL.replace("weights = false", "weights = true")).parent)
    one = export(first, "baseline", 0, tmp_path / "one")[0]
    other = export(first, "baseline", 1, tmp_path / "other")[0]
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path))
    text = SMALL.replace("dropout = { dropout = {} }", 'moved = { transfer = { weights = "net.pt", epochs = 0 } }')
    (tmp_path / "net.pt").write_bytes(one.read_bytes())
    (tmp_path / "run").mkdir()
    log = ran(tmp_path / "run", text)
    results = load(log.parent)
    assert list(results.header["read"]) == ["transfer weights net.pt"]
    more, said = text.replace("seeds = 2", "seeds = 3"), list[str]()
    ran(tmp_path / "run", more, say=said.append)
    assert not [line for line in said if "another one" in line]
    (tmp_path / "net.pt").write_bytes(other.read_bytes())
    ran(tmp_path / "run", more.replace("seeds = 3", "seeds = 4"), say=said.append)
    (line,) = [line for line in said if "another one" in line]
    assert "transfer weights net.pt is another one; trials of both could not be compared" in line
    (tmp_path / "new").mkdir()
    sweep = reusing(read(tmp_path / "new", text), (str(log.parent),))
    pool = load_pool(sweep.arms[0].template)
    now = data_identity(pool, [arm.template for arm in sweep.arms])
    none = reusable(sweep, now | {"read": {"transfer weights net.pt": "0"}}).words[-1]
    assert f"{log.parent}: 0 of " in none and "trained on other data" in none
    assert f"{log.parent}: 0 of " not in reusable(sweep, now | {"read": results.header["read"]}).words[-1]


def test_the_key_hangs_on_what_is_in_the_file_and_not_on_where_it_lies(file: Path) -> None:
    trial = trial_of()
    data = load_data(trial)

    def key(method: Transfer) -> str:
        return pretraining.pretrained(Recipe.of([method]), start_network(trial, data), data)[1].key

    first = key(given())
    (file.parent / "below").mkdir()
    (file.parent / "below" / "copy.pt").write_bytes(file.read_bytes())
    assert key(given("below/copy.pt")) == key(given(str(file))) == key(given(freeze=1)) == first
    params, buffers = saved(file)
    params["layers.0.linear.weight"][0, 0] += 1
    torch.save({"params": params, "buffers": buffers}, file)
    assert key(given()) != first


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": {**NORMED, "widths": [12, 10]}}, r"layers\.1\.linear\.weight \[10, 12\] .* given \[12, 12\] in"),
        ({"network": {**NORMED, "widths": [12]}}, r"layers\.1\.linear\.weight none .* given \[12, 12\] in"),
        ({"network": {**NORMED, "widths": [12, 12, 12]}}, r"layers\.2\.linear\.weight \[12, 12\] .* given none in"),
        ({"network": {**NORMED, "batch_norm": False}}, r"layers\.0\.linear\.norm\.weight none .* given \[12\] in"),
        ({"data": {"name": "synthetic", "side": 5}}, r"layers\.0\.linear\.weight \[12, 25\] .* given \[12, 36\] in"),
    ],
)
def test_a_network_of_other_shapes_is_refused_by_the_first_that_differs(file: Path, changes: Any, said: str) -> None:
    with pytest.raises(Refused, match=rf"^recipe\.transfer\.weights: expected {said} the file; export a net") as error:
        Lane((trial_of(given(), **changes),))
    assert "\n" not in str(error.value)


class Trap:
    """What runs code where a pickle is executed."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("trapped"),)


def test_other_files_are_refused_in_a_line_and_no_code_of_theirs_runs(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    torch.save({"params": Trap(), "buffers": {}}, file.parent / "trap.pt")
    (file.parent / "raw.pt").write_bytes(pickle.dumps(Trap()))
    (file.parent / "text.pt").write_text("none")
    half = io.BytesIO()
    torch.save({"params": {}}, half)
    (file.parent / "half.pt").write_bytes(half.getvalue())
    for name in ("trap.pt", "raw.pt", "text.pt", "half.pt", "absent.pt", "."):
        with pytest.raises(Refused, match=r"weights: expected a file of regtune export, given ") as error:
            Lane((trial_of(given(name)),))
        assert "\n" not in str(error.value)
        assert str(file.parent) in str(error.value)
    assert not (file.parent / "trapped").exists()
    monkeypatch.delenv("REGTUNE_DATA")
    with pytest.raises(Refused, match=r"weights: expected a data folder in which 'net\.pt' is"):
        Lane((trial_of(given()),))
    assert Lane((trial_of(given(str(file))),)).state.params
    with pytest.raises(
        Refused, match=r"epochs: expected 0 beside weights, given 20; set it to 0, or leave weights out"
    ):
        Lane((trial_of(Transfer(weights=str(file))),))


def test_the_default_is_what_was_pretrained_before() -> None:
    """The seed of pretraining hangs on these settings: those of logs from before the knob are as they were."""
    before = {
        "epochs": 20,
        "source": "digits",
        "learning_rate": 0.001,
        "batch": 100,
        "read": "d575a4c9c1938ba211dcf570f79f4810",
    }
    assert Transfer(freeze=1).pretraining_key() == before
    assert list(plain_settings(Transfer())) == [
        "epochs",
        "source",
        "freeze",
        "learning_rate_factor",
        "learning_rate",
        "batch",
    ]


def read_out(net: nn.Module, data: Splits) -> float:
    """Return the accuracy of a least-squares readout of features, of validation and test examples in turn."""
    assert data.test is not None
    parts = [(data.test.images, data.test.labels), (data.validation.images, data.validation.labels)]
    codes: list[Tensor] = []
    with torch.no_grad():
        codes = [torch.cat([features(net, x).double(), torch.ones(len(x), 1)], 1) for x, _ in parts]
    answers = nn.functional.one_hot(parts[0][1], data.classes).double()
    solution = torch.linalg.lstsq(codes[0], answers).solution
    return float(((codes[1] @ solution).argmax(1) == parts[1][1]).double().mean())


def test_other_classes_teach_features_of_the_classes_that_are_told_apart() -> None:
    trial = small_trial(data={**OTHER, "validation": 300}, network={"name": "mlp", "widths": [12]})
    data = load_data(trial)
    before = start_network(trial, data)
    method = Transfer(epochs=30, source="other_classes")
    after = method.pretrain(start_network(trial, data), data, NOISE)
    assert data.others is not None
    assert after.examples == 30 * (len(data.others) // 100) * 100, "and no other picture"
    assert read_out(after.net, data) > read_out(before, data) + 0.02
    few = dataclasses.replace(data, few=True)
    assert method.pretrain(start_network(trial, data), few, NOISE).examples == 30 * len(data.train)


def test_what_other_classes_are_is_part_of_the_key() -> None:
    trial = small_trial(data=OTHER)
    data = load_data(trial)
    assert data.others is not None
    turned = dataclasses.replace(data.others, labels=data.others.labels.flip(0))
    keys = [
        pretraining.pretrained(Recipe.of([Transfer(epochs=1, source="other_classes")]), start_network(trial, d), d)[1]
        for d in (data, dataclasses.replace(data, others=turned))
    ]
    assert keys[0].key != keys[1].key


def test_other_classes_reach_every_trial_of_a_lane_with_splits_of_its_own() -> None:
    method = Transfer(epochs=1, source="other_classes")
    trials = [small_trial([row("transfer", method)], data={**OTHER, "split_seed": seed}) for seed in (0, 1)]
    lane = Lane(trials, data=[load_data(trial) for trial in trials])
    for place, trial in enumerate(trials):
        alone = Lane((trial,)).state.params
        assert same({name: value[place] for name, value in lane.state.params.items()}, alone)


def test_other_classes_of_data_that_leave_none_out_are_refused() -> None:
    method = row("transfer", Transfer(epochs=1, source="other_classes"))
    for data in ({"name": "synthetic"}, {**OTHER, "classes": []}, {**OTHER, "pixels": "shuffled"}):
        with pytest.raises(
            Refused, match=r"transfer\.source: expected data that leave classes out.* classes in \[data\]"
        ):
            Lane((small_trial([method], data=data),))
