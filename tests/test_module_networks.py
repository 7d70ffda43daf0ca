"""Networks that are modules of the user's, as they are: slots, laws, weights, and what is refused."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from regtune.core.errors import Refused
from regtune.core.knobs import knobs
from regtune.core.records import Json, Trial
from regtune.data import DataLocation
from regtune.execution.lane_width import can_share
from regtune.execution.lane_work import OwnSplits
from regtune.networks import NETWORKS, Slot, fresh, slots, spared
from regtune.networks.module import Module
from regtune.regularizers import REGULARIZERS, Dropout
from regtune.results.loader import load
from regtune.sweep.reading import read_file
from regtune.sweep.sweep import Sweep
from regtune.training.build import load_data
from regtune.training.lane import Lane
from tests.command_line import called
from tests.conftest import SWEEP, neutral, row, same, searched, small_trial, trained

PLUGIN = "tests.plugin_modules"
# Modules of the plugin, and those that a library makes of a name, of which the plugin has one that is made by hand.
MODULES: dict[str, Json] = {
    "plain_mlp": {},
    "Pictures": {},
    "Transformer": {},
    "torchvision_resnet": {"name": "torchvision", "model": "resnet18"},
    "Deep": {},
    "OwnDropPath": {},
    "timm_model": {
        "name": "timm",
        "model": "vit_tiny_patch16_224",
        "arguments": {"patch_size": 3, "embed_dim": 8, "depth": 3, "num_heads": 2},
    },
}
SLOTS = {
    "plain_mlp": "input1 hidden1 hidden2 hidden3",
    "Pictures": "hidden1 hidden2",
    "Transformer": "hidden1 hidden2 hidden3",
    "torchvision_resnet": " ".join(f"residual{number}" for number in range(1, 9)) + " hidden1",
    "Deep": "residual1 residual2 residual3",
    "OwnDropPath": "residual1 hidden1",
}
LARGE = ("torchvision_resnet",)
every_module = pytest.mark.parametrize("name", MODULES)


def network(name: str, **settings: Any) -> Json:
    return {**(MODULES.get(name) or {"name": "module", "path": f"{PLUGIN}:{name}"}), **settings}


def module_trial(name: str, recipe: list[Json] | None = None, settings: Json | None = None, **changes: Any) -> Trial:
    data = {
        "name": "synthetic",
        "train": 16 if name in LARGE else 32,
        "validation": 16,
        "test": 16,
        "noise": 0.6,
        "side": 6,
        "classes": 2,
    }
    given: dict[str, Any] = {
        "data": data,
        "network": network(name, **(settings or {})),
        "epochs": 2,
        "plugins": (PLUGIN,),
    }
    return small_trial(recipe or [], **(given | changes))


def built(name: str, seed: int = 3, classes: int = 2, **settings: Any) -> nn.Module:
    value = NETWORKS.build(network(name, **settings), "network")
    return fresh(value, shape=(1, 6, 6), classes=classes, seed=seed)


def recipe(name: str, setting: Any) -> list[Json]:
    kinds = {slot.kind for slot in slots(built(name))}
    methods = ["dropout"] if kinds & {"hidden", "input"} else []
    return [row(m, setting(m)) for m in [*methods, *(["stochastic_depth"] if "residual" in kinds else [])]]


@every_module
def test_slots_are_at_the_places_of_its_own_modules(name: str) -> None:
    net = built(name)
    labels = [slot.label for slot in slots(net)]
    if name == "timm_model":
        assert Counter(slot.kind for slot in slots(net)) == {"hidden": 11, "residual": 4, "features": 1}
    else:
        assert labels == [*SLOTS[name].split(), "features1"]
    seen: list[str] = []

    def bend(signal: Any, slot: Slot) -> Any:
        seen.append(slot.label)
        return signal

    for training in (True, False):
        seen.clear()
        net.train(training)(torch.rand(3, 1, 6, 6), bend)
        assert seen == labels


@every_module
def test_without_a_recipe_it_computes_what_the_module_does(name: str) -> None:
    from tests import plugin_modules

    net = built(name).eval()
    plain = getattr(plugin_modules, name)()
    plain.load_state_dict(net.get_submodule("module").state_dict())  # the names of its weights are as they were
    x = torch.rand(3, 1, 6, 6)
    with torch.no_grad():
        ours = net(x, lambda signal, slot: signal)
        torch.testing.assert_close(ours, plain.eval()(x), rtol=1e-5, atol=1e-6)


@every_module
def test_neutral_is_bitwise_baseline(name: str) -> None:
    ours, plain = trained(module_trial(name, recipe(name, neutral))), trained(module_trial(name))
    assert same(ours.state.params, plain.state.params)
    assert same(ours.state.buffers, plain.state.buffers)


@every_module
def test_a_method_changes_it_and_resumes_bitwise(name: str) -> None:
    trial = module_trial(name, recipe(name, searched))
    whole, first = trained(trial), Lane((trial,))
    assert not same(whole.state.params, trained(module_trial(name)).state.params)
    next(first)
    second = Lane((trial,), resume=first.checkpoint())
    list(second)
    assert same(second.state.params, whole.state.params)
    assert [e.numbers() for e in second.epochs[0]] == [e.numbers() for e in whole.epochs[0]]


@every_module
def test_one_seed_gives_every_arm_the_same_weights(name: str) -> None:
    def begun(rows: list[Json], seed: int) -> dict[str, Tensor]:
        return Lane((module_trial(name, rows, seed=seed),)).state.params

    weights = begun([], 3)
    torch.rand(5)  # whatever the state of the process
    assert same(begun(recipe(name, searched), 3), weights)
    assert not same(begun([], 4), weights)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # attention has no rule of its own in vmap
@pytest.mark.parametrize("name", [name for name in MODULES if name not in LARGE])
def test_neighbours_in_a_lane_change_nothing(name: str) -> None:
    def lane(seeds: tuple[int, ...], end: str) -> Lane:
        def other(method: str) -> Any:
            low, cls = searched(method), REGULARIZERS.all()[method]
            words = {k.name: getattr(low, k.name) for k in knobs(cls).values() if k.kind is not float}
            return dataclasses.replace(searched(method, end), **words)

        first = module_trial(name, recipe(name, searched), seed=seeds[0])
        lane = Lane((first, *(module_trial(name, recipe(name, other), seed=seed) for seed in seeds[1:])))
        list(lane)
        return lane

    one, two = lane((5, 6), "low"), lane((5, 8), "high")
    assert all(torch.equal(one.state.params[n][0], two.state.params[n][0]) for n in one.state.params)
    assert not all(torch.equal(one.state.params[n][1], two.state.params[n][1]) for n in one.state.params)


def test_the_mlp_of_the_shelf_as_a_plain_module_has_its_bits(tmp_path: Path) -> None:
    methods = [row("dropout", Dropout(p_hidden=0.1, p_input=0.2)), row("l2", searched("l2"))]
    data = module_trial("plain_mlp").data
    shelf = small_trial(methods, data=data, network={"name": "mlp", "widths": [12, 12, 12]})
    begun = Lane((shelf,)).state.params
    linear = [
        name for name, part in built("plain_mlp").get_submodule("module").named_modules() if name and part._parameters
    ]
    names = [f"{name}.{kind}" for name in linear for kind in ("weight", "bias")]
    save_file(dict(zip(names, (p.contiguous() for p in begun.values()), strict=True)), tmp_path / "w.safetensors")
    trial = module_trial("plain_mlp", methods, {"weights": str(tmp_path / "w.safetensors")}, epochs=4)
    ours, theirs = trained(trial), trained(shelf)
    assert all(map(torch.equal, ours.state.params.values(), theirs.state.params.values()))
    assert [e.numbers() for e in ours.epochs[0]] == [e.numbers() for e in theirs.epochs[0]]


@pytest.mark.parametrize("name", ["Deep", "OwnDropPath"])
def test_a_dropped_branch_adds_nothing(name: str) -> None:
    gone = [{"name": "stochastic_depth", "p_last": 0.0, "rule": "uniform"}]
    lane = trained(module_trial(name, gone))
    begun = Lane((module_trial(name, gone),)).state.params
    still = {n for n in begun if torch.equal(begun[n], lane.state.params[n])}
    assert still == {n for n in begun if ".branch" in n}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"path": ""}, "expected a module and what to take of it, as 'my_models:make_net'"),
        ({"path": f"{PLUGIN}:Picturs"}, "did you mean 'Pictures'"),
        ({"path": f"{PLUGIN}:number"}, "to return an nn.Module, given int"),
        ({"path": f"{PLUGIN}:SIDE"}, "given 'tests.plugin_modules:SIDE', a int"),
        ({"path": f"{PLUGIN}:Pictures", "arguments": {"wide": 3}}, "unexpected keyword argument 'wide'"),
        ({"path": f"{PLUGIN}:Functional"}, "make torch.nn.functional.dropout an nn.Dropout"),
        ({"path": f"{PLUGIN}:Pair"}, "one input, pictures .N, C, H, W., given x, lengths; give the others a default"),
        ({"path": f"{PLUGIN}:Several"}, "one tensor, logits .N, classes., given tuple; wrap it"),
        ({"path": f"{PLUGIN}:Maps"}, "flatten or average it to one row"),
        ({"path": f"{PLUGIN}:Pictures", "arguments": {"classes": 5}}, "for 2 classes, those of the data, given 5; set"),
        ({"path": f"{PLUGIN}:frozen"}, "requires_grad = False for 2.weight and 1 more; make them buffers"),
        ({"path": f"{PLUGIN}:alpha"}, "given nn.AlphaDropout"),
        (
            {"path": f"{PLUGIN}:WholeBlock", "residual": ["block"]},
            "given 'block', .*added to that, 'block.branch', not",
        ),
        (
            {"path": f"{PLUGIN}:torchvision_resnet", "residual": ["layer1.*.bn2", "layer3.0"]},
            "given 'layer3.0', .*added to that, 'layer3.0.bn2', not the whole block",
        ),
        ({"path": f"{PLUGIN}:scripted"}, "expected a module of Python, given one of torch.jit, which takes no slots"),
        ({"path": f"{PLUGIN}:Pictures", "hidden": ["norn1"]}, "did you mean 'norm1'"),
        ({"path": f"{PLUGIN}:Pictures", "hidden": ["drop"]}, "its slot is there already"),
        (
            {"path": f"{PLUGIN}:Transformer", "hidden": ["block.self_attn"]},
            "one tensor at block.self_attn, given tuple",
        ),
        (
            {"path": f"{PLUGIN}:Pictures", "weights": "/nowhere.pt"},
            "expected a file of weights, given /nowhere.pt: No such",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(settings: Json, said: str) -> None:
    with pytest.raises(Refused, match=said) as error:
        Lane((module_trial("Pictures", network={"name": "module", **settings}),))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("how", ["whole", "part", "in place"])
def test_a_compiled_module_trains_as_it_is_without_and_that_is_said(how: str, tmp_path: Path) -> None:
    net, plain = built("compiled_mlp", arguments={"how": how}), built("plain_mlp")
    assert same(net.state_dict(), plain.state_dict())
    assert [slot.label for slot in slots(net)] == [slot.label for slot in slots(plain)]
    assert not [part for part in net.modules() if part._compiled_call_impl or hasattr(part, "_orig_mod")]
    value = NETWORKS.build(network("compiled_mlp", arguments={"how": how}), "network")
    assert "its torch.compile is set aside; [training] compiled = true compiles" in value.remarks(net)[0]
    state = plain.get_submodule("module").state_dict()
    save_file({f"_orig_mod.{name}": weight for name, weight in state.items()}, tmp_path / "w.safetensors")
    again = built("plain_mlp", seed=4, weights=str(tmp_path / "w.safetensors"))
    assert same(again.state_dict(), plain.state_dict())


@pytest.mark.slow
def test_workers_of_ray_train_a_module(tmp_path: Path) -> None:
    (tmp_path / "module_sweep.toml").write_text(SWEPT)
    (tmp_path / "my_net_beside.py").write_text(MINE)
    logs = []
    for more in ([], ["--in-process"]):
        words = ["run", "module_sweep.toml", "--results", "-".join(["on", *more]), *more]
        ended = subprocess.run(
            [sys.executable, "-m", "regtune", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        logs.append(load(tmp_path / words[3] / "module_sweep").trials)
    on_ray, here = (log.sort_values(["arm", "phase", "number"], ignore_index=True) for log in logs)
    assert len(here) > 12
    assert (here["status"] == "ok").all()
    assert on_ray["test_accuracy"].equals(here["test_accuracy"])


def test_whole_blocks_are_no_branches_but_their_ends_are() -> None:
    net = built("WholeBlock", residual=["block.branch"], hidden=["stem"])
    assert [slot.label for slot in slots(net)] == ["hidden1", "residual1", "features1"]


def test_a_pattern_names_what_is_directly_below() -> None:
    by_hand = {"name": "module", "path": f"{PLUGIN}:torchvision_resnet"}
    net = fresh(NETWORKS.build(by_hand | {"hidden": ["layer2.*"]}, "network"), shape=(1, 6, 6), classes=2, seed=3)
    assert [slot.label for slot in slots(net)] == ["hidden1", "hidden2", "features1"]


def test_inputs_are_normalized_unless_it_is_said() -> None:
    trial = module_trial("Pictures")
    assert any(name.startswith("normalize.") for name in Lane((trial,)).state.buffers)
    trial = module_trial("Pictures", settings={"normalize": False})
    assert not any(name.startswith("normalize.") for name in Lane((trial,)).state.buffers)


def test_weights_of_a_checkpoint_and_what_does_not_fit(tmp_path: Path) -> None:
    state = built("Pictures", seed=9).get_submodule("module").state_dict()
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pt")
    begun = Lane((module_trial("Pictures", settings={"weights": str(tmp_path / "w.pt")}),)).state.params
    assert all(
        torch.equal(begun[f"module.{name}"], value)
        for name, value in state.items()
        if "running" not in name and "num_batches" not in name
    )
    torch.save(state | {"head.weight": torch.zeros(3, 4)}, tmp_path / "w.pt")
    with pytest.raises(Refused, match=r"expected head.weight \[2, 4\] as in the module, given \[3, 4\] in the file"):
        built("Pictures", weights=str(tmp_path / "w.pt"))
    (tmp_path / "w.pt").write_bytes(b"no weights")
    with pytest.raises(Refused, match="weights_only=True"):
        built("Pictures", weights=str(tmp_path / "w.pt"))


def test_a_trial_knows_its_file_of_weights_by_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    torch.save(built("Pictures", seed=9).get_submodule("module").state_dict(), file)
    value = Module(path=f"{PLUGIN}:Pictures", weights=str(file)).pinned()
    assert len(value.digest) == 64
    torch.save(built("Pictures", seed=8).get_submodule("module").state_dict(), file)
    with pytest.raises(Refused, match="expected the file of the trial"):
        fresh(value, shape=(1, 6, 6), classes=2, seed=1)
    with pytest.raises(Refused, match=r"network\.digest"):
        value.pinned()


SWEPT = SWEEP.replace(
    'name = "mlp"\nwidths = [12, 12]\nresidual = true',
    'name = "module"\npath = "my_net_beside:Net"\narguments = { width = 6 }',
)
MINE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width):
        layers = nn.Linear(16, width), nn.BatchNorm1d(width), nn.Dropout(0.4), nn.Linear(width, 4)
        super().__init__(nn.Flatten(), *layers)
"""


def test_a_sweep_finds_the_module_beside_it_and_check_and_run_say_what_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "module_sweep.toml").write_text(SWEPT)
    (tmp_path / "my_net_beside.py").write_text(MINE)
    file = tmp_path / "module_sweep.toml"
    file.write_text(file.read_text().replace("[search]", "decay = { l2 = {} }\n[search]"))
    assert read_file(file).plugins == ["my_net_beside"]
    sweep = Sweep.read(file)
    assert "my_net_beside" in sweep.plain()["plugins"]
    answer = called("check", file, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    said = " ".join(answer.stdout.split())
    assert "its own rates are set aside, a recipe says what is dropped: Dropout 0.4" in said
    assert "l2: act on 2 of 6 parameter tensors; left alone: BatchNorm1d 2, biases 2" in said
    few = file.read_text().replace("trials = 4", "trials = 1").replace("seeds = 3", "seeds = 0")
    file.write_text(few.replace("epochs = 6", "epochs = 1"))
    ran = called("run", file, "--in-process", folder=tmp_path)
    assert (
        "regtune: network module: its own rates are set aside, a recipe says what is dropped: Dropout 0.4" in ran.stdout
    )


def test_lanes_are_for_modules_that_vmap_can_take() -> None:
    def shares(name: str) -> bool:
        trial = module_trial(name)
        return can_share([trial], OwnSplits(load_data(trial, DataLocation(root=None))))

    assert shares("plain_mlp")
    assert not shares("Choosing")  # its members take turns
    assert trained(module_trial("Choosing")).epochs[0][-1].outcome is not None


@pytest.mark.parametrize(
    "method",
    [
        {"name": "weight_decay", "strength": 1000.0},
        {"name": "max_norm", "c": 1e-4},
        {"name": "l2", "strength": 1e6},
        {"name": "l1", "strength": 1e6},
        {"name": "elastic_net", "strength": 1e6},
    ],
    ids=lambda method: method["name"],
)
def test_penalties_leave_normalization_and_embeddings_alone_by_type(method: Json) -> None:
    def moved(recipe: list[Json]) -> dict[str, Tensor]:
        lane = Lane((module_trial("Spread", recipe, epochs=1, batch=32),))  # one step
        next(lane)
        return lane.state.params

    assert spared(built("Spread")) == {"module.norm.weight", "module.norm.bias", "module.position.weight"}
    ours, plain = moved([method]), moved([])
    changed = {name for name in ours if not torch.equal(ours[name], plain[name])}
    assert changed == {"module.head.weight"}


def test_a_network_whose_last_layer_begins_with_zeros_is_taken_and_its_places_are_checked() -> None:
    assert [slot.label for slot in slots(built("zero_head"))] == ["hidden1", "features1"]
    with pytest.raises(Refused, match="without which no picture reaches the outputs"):
        built("zero_head", residual=["1"])
