"""Networks of torchvision and timm by name: made for the data, with small stems, and weights of files alone."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18

from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.networks import NETWORKS, Network, fresh, slots
from tests.command_line import called
from tests.conftest import SWEEP, trained
from tests.test_module_networks import module_trial

TINY: Json = {"name": "timm", "model": "test_resnet"}  # of 0.4 million parameters
RESNET: Json = {"name": "torchvision", "model": "resnet18"}


def network(row: Json, **settings: Any) -> Network:
    return NETWORKS.build({**row, **settings}, "network")


def built(row: Json, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10, **settings: Any) -> nn.Module:
    return fresh(network(row, **settings), shape=shape, classes=classes, seed=3)


def logits(net: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = net.eval()(x, lambda signal, slot: signal)
    return found


def said(row: Json, **settings: Any) -> str:
    return " ".join(network(row, **settings).remarks(built(row, **settings)))


def test_small_pictures_get_the_stem_of_small_pictures_and_it_is_said() -> None:
    small, large = (built(RESNET, (3, side, side)).get_submodule("module") for side in (32, 96))
    conv = small.get_submodule("conv1")
    assert isinstance(conv, nn.Conv2d)
    assert (conv.stride, conv.kernel_size) == ((1, 1), (3, 3))
    assert isinstance(small.get_submodule("maxpool"), nn.Identity)
    assert conv.weight.var().mul(9 * 64 / 2).item() == pytest.approx(1, rel=0.1)
    assert large.get_submodule("conv1").kernel_size == (7, 7)
    assert isinstance(large.get_submodule("maxpool"), nn.MaxPool2d)
    assert "its stem is 3 x 3, stride 1, without pooling for pictures of at most 64" in said(RESNET)
    own = built(RESNET, stem="own")
    assert own.get_submodule("module.conv1").kernel_size == (7, 7)
    assert built(RESNET, (3, 96, 96), stem="small").get_submodule("module.conv1").kernel_size == (3, 3)
    plain = resnet18(num_classes=10)
    plain.load_state_dict(own.get_submodule("module").state_dict())
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(logits(own, x), plain.eval()(x))


@pytest.mark.parametrize(
    ("library", "model"),
    [
        ("torchvision", "resnext50_32x4d"),
        ("torchvision", "densenet121"),
        ("timm", "test_resnet"),
        ("timm", "resnet10t"),
    ],
)
def test_small_stems_keep_the_size_of_pictures(library: str, model: str) -> None:
    net = built({"name": library, "model": model}, stem="small")
    seen: list[torch.Size] = []
    first = next(p for name, p in net.named_modules() if name.endswith(("layer1", "denseblock1", "stages_0")))
    first.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    logits(net, torch.rand(2, 3, 32, 32))
    assert seen[0][2:] == (32, 32)


def test_a_grey_picture_gives_what_it_would_in_three_channels() -> None:
    grey, net = torch.rand(2, 1, 32, 32), built(RESNET, (1, 32, 32), stem="own").eval()
    plain = resnet18(num_classes=10)
    weights = net.get_submodule("module").state_dict()
    weights["conv1.weight"] = weights["conv1.weight"].expand(-1, 3, -1, -1) / 3
    plain.load_state_dict(weights)
    torch.testing.assert_close(logits(net, grey), plain.eval()(grey.expand(-1, 3, -1, -1)))
    assert logits(built(RESNET, (5, 32, 32)), torch.rand(2, 5, 32, 32)).shape == (2, 10)


def test_models_that_take_a_size_of_pictures_get_it() -> None:
    row = {"name": "timm", "model": "test_vit", "arguments": {"patch_size": 4}}
    assert logits(built(row, (3, 32, 32)), torch.rand(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(Refused, match=r"vit_b_16: cannot be made for pictures \[3, 30, 30\].*indivisible by patch"):
        built({"name": "torchvision", "model": "vit_b_16"}, (3, 30, 30))


def test_rates_of_its_own_are_set_aside_and_said_where_they_are_no_modules_too() -> None:
    rates = {"drop_rate": 0.2, "drop_path_rate": 0.1}
    text = said(TINY, arguments=rates)
    assert "its drop_rate of 0.2 is set aside" in text
    assert "its own rates are set aside, a recipe says what is dropped: DropPath" in text
    assert "set aside" not in said(TINY)
    counts = [Counter(slot.kind for slot in slots(net)) for net in (built(TINY), built(TINY, arguments=rates))]
    assert counts[0] == counts[1]
    assert set(counts[0]) == {"hidden", "residual", "features"}


def test_weights_of_a_file_fit_other_classes_and_channels(tmp_path: Path) -> None:
    for row, plain, head in ((TINY, timm.create_model("test_resnet"), "fc"), (RESNET, resnet18(), "fc")):
        state = {name: value.clone() for name, value in plain.state_dict().items()}
        save_file(state, tmp_path / "w.safetensors")
        net = built(row, weights=str(tmp_path / "w.safetensors"))
        ours = net.get_submodule("module").state_dict()
        assert [name for name in state if not torch.equal(state[name], ours[name])] == [
            f"{head}.weight",
            f"{head}.bias",
        ]
        whole = built(row, classes=1000, weights=str(tmp_path / "w.safetensors"))
        x = torch.rand(2, 3, 32, 32)
        torch.testing.assert_close(logits(whole, x), plain.eval()(x))
        grey = built(row, (1, 32, 32), classes=1000, weights=str(tmp_path / "w.safetensors"))
        torch.testing.assert_close(logits(grey, x[:, :1]), plain(x[:, :1].expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)
        small = {"weights": str(tmp_path / "w.safetensors"), "stem": "small"}
        assert "its stem is 3 x 3, stride 1, without pooling; the weights of its own stem are left out" in said(
            row, **small
        )
        save_file(
            {name: value for name, value in state.items() if "layer1.0.bn1" not in name}, tmp_path / "w.safetensors"
        )
        with pytest.raises(Refused, match=r"layer1\.0\.bn1\.weight"):
            built(row, weights=str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            RESNET | {"model": "resnt18"},
            "given 'resnt18' .did you mean 'resnet18'.*; regtune list --torchvision '.' finds",
        ),
        (TINY | {"model": "resnt18"}, "given 'resnt18' .did you mean 'resnet18'.*; regtune list --timm '.' finds"),
        (TINY | {"model": "hf-hub:who/what"}, "expected the name of a model, given 'hf-hub:who/what'"),
        (
            TINY | {"model": "vit_tiny_patch16_224", "stem": "small"},
            "vit_tiny_patch16_224.stem: expected a model with a",
        ),
        (
            TINY | {"arguments": {"pretrained": True}},
            "arguments: expected what regtune does not set itself, given pretrained",
        ),
        (
            RESNET | {"arguments": {"wide": 3}},
            "18: cannot be made for .* with {'wide': 3}: TypeError: .*argument 'wide'",
        ),
        (TINY | {"weights": "pretrained"}, "expected timm/test_resnet.r160_in1k.safetensors .* --download fetches it"),
        (TINY | {"model": "resnet10t.nope"}, "given 'resnet10t.nope' .did you mean 'resnet10t"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(
    row: Json, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path))
    with pytest.raises(Refused, match=words) as error:
        fresh(network(row).pinned(), shape=(3, 32, 32), classes=10, seed=1)
    assert "\n" not in str(error.value)


def published_by_timm(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    state: dict[str, Tensor] = timm.create_model("test_resnet").state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *words, **named: dict(state))
    return state


def published_by_torchvision(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    state: dict[str, Tensor] = resnet18().state_dict()

    def download(url: str, target: str, prefix: str, *, progress: bool) -> None:
        assert (url.rpartition("/")[2], prefix) == ("resnet18-f37072fd.pth", "f37072fd")
        torch.save(state, target)

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    return state


@pytest.mark.parametrize("row", [TINY, RESNET], ids=lambda row: row["name"])
def test_published_weights_come_with_download_alone(row: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = (published_by_timm if row is TINY else published_by_torchvision)(monkeypatch)
    table = f'name = "{row["name"]}"\nmodel = "{row["model"]}"\nweights = "pretrained"'
    text = SWEEP.replace('name = "mlp"\nwidths = [12, 12]\nresidual = true', table).replace(
        "mixup = { mixup = {} }", ""
    )
    (tmp_path / "small.toml").write_text(text.replace("noise = 0.6", "noise = 0.6\nside = 16"))
    data = str(tmp_path / "data")
    refused = called("check", "small.toml", folder=tmp_path, REGTUNE_DATA=data)
    assert refused.returncode == 2
    assert "--download fetches it, as in regtune run FILE --download, nothing else does" in refused.stderr
    answer = called("check", "small.toml", "--download", folder=tmp_path, REGTUNE_DATA=data)
    assert answer.returncode == 0, answer.stderr
    assert called("plan", "small.toml", folder=tmp_path, REGTUNE_DATA=data).returncode == 0  # it is there now
    monkeypatch.setenv("REGTUNE_DATA", data)
    ours = built(row, weights="pretrained").get_submodule("module").state_dict()
    assert torch.equal(ours["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])


def test_a_download_that_fails_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*words: Any, **named: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", download)
    monkeypatch.setenv("REGTUNE_DATA", str(tmp_path))
    for row in (TINY, RESNET):
        with pytest.raises(Refused, match=r"network\.weights: download failed: 'no route to host'"):
            network(row, weights="pretrained").fetch()


@pytest.mark.parametrize(("row", "extra"), [(TINY, "timm"), (RESNET, "vision")])
def test_a_library_that_is_not_installed_is_named(row: Json, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, row["name"], None)
    with pytest.raises(Refused, match=rf"which is not installed: pip install 'regtune\[{extra}\]'"):
        network(row).pinned()


def test_names_are_found_by_patterns(tmp_path: Path) -> None:
    found = called("list", "--timm", "resnet18*", folder=tmp_path)
    assert "resnet18\nresnet18d\n" in found.stdout
    assert called("list", "--torchvision", "resnet*", folder=tmp_path).stdout.split()[0] == "resnet101"
    none = called("list", "--torchvision", "resnet19", folder=tmp_path)
    assert (none.returncode, none.stdout) == (2, "")
    assert "--torchvision: no model is called 'resnet19' (did you mean 'resnet1" in none.stderr
    assert "expected it alone" in called("list", "mlp", "--timm", "a", folder=tmp_path).stderr


def test_a_trial_names_its_model_in_plain_settings() -> None:
    trial = module_trial("timm_model")
    assert json.loads(json.dumps(trial.network))["model"] == "vit_tiny_patch16_224"
    assert trained(module_trial("timm_model", epochs=1)).epochs[0][-1].outcome is not None
