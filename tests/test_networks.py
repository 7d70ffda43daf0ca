"""Every network in the registry: its parts, sizes and initial weights, and the laws at a tiny setting."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, linear, pad
from torchvision.models import VisionTransformer

from regtune.cli.catalog import source
from regtune.core.errors import Refused
from regtune.core.knobs import read_settings
from regtune.core.records import Json, Trial
from regtune.core.rng import Rng
from regtune.core.state import weights
from regtune.networks import NETWORKS, Normalize, Slot, fresh, slots, spared
from regtune.networks._initializers import SCHEMES
from regtune.training.lane import Lane
from tests.conftest import neutral, row, same, searched, small_trial, trained

TINY: dict[str, Json] = {
    "convnet": {"channels": [4, 6]},
    "kadra2021": {"residual": True},
    "mlp": {"widths": [12, 12], "residual": True, "batch_norm": True},
    "random_features": {"features": 20},
    "resnet": {"depth": 8},
    "resnet9": {"width": 2},
    "small_inception": {},
    "srivastava2014": {},
    "tabular_mlp": {"widths": [12, 12], "residual": True, "batch_norm": True},
    "tabular_resnet": {"width": 12},
    "vit": {"depth": 1, "heads": 2, "width": 12},
    "wide_resnet": {"depth": 10, "width": 1},
    "zhang2017_1x512": {},
    "zhang2017_3x512": {},
}
# Of modules that know nothing of slots, for tests that take any network; the laws of these: test_module_networks.py.
FOREIGN: dict[str, Json] = {
    "module": {"path": "tests.plugin_modules:Pictures", "arguments": {"classes": 4}},
    "timm": {
        "model": "vit_tiny_patch16_224",
        "arguments": {"patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2},
    },
}
RESIDUAL = ["mlp", "resnet", "resnet9", "vit", "wide_resnet"]
every_network = pytest.mark.parametrize("name", sorted(TINY))


def module(name: str, shape: tuple[int, int, int] = (3, 8, 8), device: str = "cpu", **settings: Any) -> nn.Module:
    cls = NETWORKS.all()[name]
    with torch.device(device):
        return cls(**read_settings(cls, settings, "network")).build(shape=shape, classes=10)


def started(name: str, seed: int = 3, shape: tuple[int, int, int] = (3, 8, 8), **settings: Any) -> nn.Module:
    cls = NETWORKS.all()[name]
    return fresh(cls(**read_settings(cls, settings, "network")), shape=shape, classes=10, seed=seed)


def straight(signal: Any, slot: Slot) -> Any:
    return signal


def tiny_trial(name: str, recipe: list[Json] | None = None, **changes: Any) -> Trial:
    data = {"name": "synthetic", "train": 48, "validation": 16, "test": 16, "noise": 0.6, "side": 8}
    network = {"name": name, **(TINY | FOREIGN)[name]} | changes.pop("knobs", {})
    return small_trial(recipe or [], data=data, network=network, **({"epochs": 2} | changes))


def methods(name: str, setting: Any) -> list[Json]:
    kinds = ["dropout", "mixup", *(["stochastic_depth"] if name in RESIDUAL else [])]
    return [row(kind, setting(kind)) for kind in kinds]


def test_tiny_settings_cover_the_registry() -> None:
    assert sorted({*NETWORKS.all()} - {"module", "timm", "torchvision"}) == sorted(
        TINY
    )  # those: test_module_networks.py


def resnet_parameters(n: int) -> int:
    """By hand: 3 x 3 convolutions without biases, two numbers per normalized channel, a linear layer."""
    total = 3 * 16 * 9 + 2 * 16
    for before, after in ((16, 16), (16, 32), (32, 64)):
        total += 9 * before * after + (2 * n - 1) * 9 * after * after + 2 * n * 2 * after
    return total + 64 * 10 + 10


@pytest.mark.parametrize(
    ("name", "side", "settings", "count"),
    [
        ("zhang2017_1x512", 28, {}, 1_209_866),
        ("zhang2017_3x512", 28, {}, 1_735_178),
        ("small_inception", 28, {"batch_norm": False}, 1_649_402),
        ("resnet", 32, {"depth": 20}, 269_722),
        ("resnet", 32, {"depth": 56}, resnet_parameters(9)),
        ("resnet", 32, {"depth": 110}, 1_727_962),
        ("resnet", 32, {"depth": 110}, resnet_parameters(18)),
        ("resnet", 32, {"depth": 110, "pre_activation": True}, resnet_parameters(18)),
        ("resnet", 32, {"depth": 1202}, resnet_parameters(200)),
        ("wide_resnet", 32, {"depth": 28, "width": 10}, 36_479_194),
        ("resnet9", 32, {}, 6_573_120),
        ("vit", 32, {}, 683_242),
        ("vit", 224, {"patch": 16, "depth": 12, "heads": 12, "width": 768}, 86_567_656 - 990 * 769),  # ViT-B/16
    ],
)
def test_parameter_counts_are_those_of_the_sources(name: str, side: int, settings: Json, count: int) -> None:
    net = module(name, (3, side, side), "meta", **settings)
    assert sum(p.numel() for p in net.parameters()) == count


def test_more_parameter_counts() -> None:
    mnist = module("srivastava2014", (1, 28, 28), "meta")
    assert sum(p.numel() for p in mnist.parameters()) == 3_973_130
    inception = module("small_inception", (3, 28, 28), "meta")
    proper = {n: p.numel() for n, p in inception.named_parameters() if ".norm." not in n}
    assert sum(proper.values()) == 1_649_402
    assert sum(p.numel() for p in inception.parameters()) > 1_649_402


@pytest.mark.parametrize(
    ("name", "settings", "counts"),
    [
        ("mlp", {"widths": [6, 6, 6]}, {"input": 1, "hidden": 3}),
        ("mlp", {"widths": [6, 6, 6], "residual": True}, {"input": 1, "hidden": 3, "residual": 2}),
        ("convnet", {"channels": [4, 4, 4]}, {"input": 1, "hidden": 4}),
        ("resnet", {"depth": 110}, {"input": 1, "hidden": 1, "residual": 54}),
        ("resnet", {"depth": 20, "pre_activation": True}, {"input": 1, "hidden": 1, "residual": 9}),
        ("wide_resnet", {"depth": 28}, {"input": 1, "hidden": 12, "residual": 12, "features": 1}),
        ("resnet9", {}, {"input": 1, "hidden": 1, "residual": 2}),
        ("vit", {"depth": 3}, {"input": 1, "hidden": 10, "residual": 6, "features": 1}),
        ("small_inception", {}, {"input": 1, "hidden": 1}),
        ("random_features", {}, {"input": 1, "hidden": 1}),
        ("srivastava2014", {}, {"input": 1, "hidden": 3}),
    ],
)
def test_slots_are_there_and_counted(name: str, settings: Json, counts: dict[str, int]) -> None:
    assert Counter(slot.kind for slot in slots(module(name, device="meta", **settings))) == counts


@every_network
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 12)])
def test_every_slot_is_passed_and_logits_have_their_shape(name: str, shape: tuple[int, int, int]) -> None:
    net, passed = started(name, shape=shape, **TINY[name]), []

    def bend(signal: Any, slot: Slot) -> Any:
        passed.append(slot.label)
        return signal

    logits = net(torch.rand(5, *shape), bend)
    assert logits.shape == (5, 10)
    assert sorted(passed) == sorted(slot.label for slot in slots(net))
    assert [slot.number for slot in slots(net) if slot.kind == "residual"] == [
        int(label.removeprefix("residual")) for label in passed if "residual" in label
    ]
    assert sum(isinstance(part, Normalize) for part in net.modules()) == 1


@every_network
def test_bounded_slots_stay_in_0_1_and_are_only_behind_sigmoids(name: str) -> None:
    knobs = {} if name == "random_features" else {"activation": "sigmoid"}
    net = started(name, **TINY[name] | knobs)
    seen: dict[str, Tensor] = {}

    def bend(signal: Any, slot: Slot) -> Any:
        if slot.bounded:
            seen[slot.label] = signal
        return signal

    net(torch.rand(16, 3, 8, 8), bend)
    assert all(tap.min() >= 0 and tap.max() <= 1 for tap in seen.values())
    assert bool(seen) == (name not in ("random_features", "resnet9"))
    assert not any(slot.bounded for slot in slots(module(name, **TINY[name])))


@every_network
def test_one_seed_gives_the_same_weights_and_another_seed_others(name: str) -> None:
    one, two, other = (started(name, seed=seed, **TINY[name]).state_dict() for seed in (3, 3, 4))
    assert same(one, two)
    assert not torch.equal(one["head.weight"], other["head.weight"])
    norms = {n: v for n, v in one.items() if "norm" in n and v.is_floating_point() and not n.startswith("normalize")}
    assert all(v.eq(1.0 if n.endswith(("weight", "var")) else 0.0).all() for n, v in norms.items())


def test_initial_weights_have_the_statistics_of_their_scheme() -> None:
    fan_in, fan_out = 9 * 16, 9 * 32
    variance = {
        "torch": 1 / fan_in / 3,
        "he": 2 / fan_in,
        "he_fan_out": 2 / fan_out,
        "glorot": 2 / (fan_in + fan_out),
        "srivastava": 1 / fan_out,
    }
    edge = {"torch": math.sqrt(1 / fan_in), "glorot": math.sqrt(6 / (fan_in + fan_out))}
    assert set(variance) == set(SCHEMES)
    for scheme, expected in variance.items():
        net = started("convnet", channels=[16, 32], batch_norm=False, init=scheme)
        weight, bias = net.get_parameter("stages.1.conv.weight"), net.get_parameter("stages.1.conv.bias")
        assert weight.shape == (32, 16, 3, 3)
        spread = math.sqrt(2 / weight.numel())  # relative standard error of a variance; less for uniform
        assert abs(weight.var().item() / expected - 1) < 5 * spread
        assert abs(weight.mean().item()) < 5 * math.sqrt(expected / weight.numel())
        assert weight.abs().max() <= edge.get(scheme, math.inf)
        assert bias.abs().gt(0).any() == (scheme == "torch")
        tails = (weight.abs() > 2 * math.sqrt(expected)).double().mean().item()
        assert tails == 0 if scheme in edge else abs(tails - 0.0455) < 0.015


def test_schemes_are_the_defaults_of_the_sources() -> None:
    defaults = {name: cls().init for name, cls in NETWORKS.all().items()}
    assert defaults["mlp"] == defaults["resnet9"] == defaults["random_features"] == "torch"
    assert defaults["resnet"] == "he"
    assert defaults["wide_resnet"] == "he_fan_out"
    assert defaults["srivastava2014"] == "srivastava"


def test_the_mlp_starts_as_it_always_did() -> None:
    net = started("mlp", seed=11, shape=(1, 8, 8), widths=[5])
    noise = Rng(seed=11).at("initial")
    assert list(net.state_dict()) == [
        "normalize.mean", "normalize.std", "layers.0.linear.weight", "layers.0.linear.bias", "head.weight", "head.bias"
    ]  # fmt: skip
    for name, fan_in in (("layers.0.linear", 64), ("head", 5)):
        for kind in ("weight", "bias"):
            value = net.get_parameter(f"{name}.{kind}")
            assert torch.equal(value, (2 * noise.uniform(f"{name}.{kind}", value.shape) - 1) * (1 / math.sqrt(fan_in)))


@every_network
def test_neutral_is_bitwise_baseline(name: str) -> None:
    ours, baseline = trained(tiny_trial(name, methods(name, neutral))), trained(tiny_trial(name))
    assert same(ours.state.params, baseline.state.params)
    assert same(ours.state.buffers, baseline.state.buffers)


@every_network
def test_resume_is_bitwise_and_evaluation_deterministic(name: str) -> None:
    trial = tiny_trial(name, methods(name, searched))
    whole, first = trained(trial), Lane((trial,))
    next(first)
    second = Lane((trial,), resume=first.checkpoint())
    for _ in second:
        pass
    assert same(second.state.params, whole.state.params)
    assert same(second.state.buffers, whole.state.buffers)
    assert [e.numbers() for e in second.epochs[0]] == [e.numbers() for e in whole.epochs[0]]
    x = whole.data.validation.images
    whole.train_step.net.eval()
    once, again = (whole.train_step.logits(whole.state.params, whole.state.buffers, whole.knobs, x) for _ in range(2))
    assert torch.equal(once, again)


@every_network
def test_neighbours_in_a_lane_change_nothing(name: str) -> None:
    def lane_of(*seeds: int) -> Lane:
        lane = Lane([tiny_trial(name, methods(name, searched), seed=seed, epochs=1) for seed in seeds])
        next(lane)
        return lane

    one, two = lane_of(5, 6), lane_of(5, 8)
    for ours, theirs in ((one.state.params, two.state.params), (one.state.buffers, two.state.buffers)):
        assert all(torch.equal(ours[key][0], theirs[key][0]) for key in ours)
    assert not torch.equal(one.state.params["head.weight"][1], two.state.params["head.weight"][1])
    assert one.epochs[0][0].numbers() == two.epochs[0][0].numbers()


@every_network
def test_a_lane_member_takes_the_same_step_as_a_trial_alone(name: str) -> None:
    trials = [
        tiny_trial(name, methods(name, searched), seed=seed, batch=48, epochs=1, dtype="float64") for seed in (1, 2)
    ]
    lane, alone = Lane(trials), Lane((trials[1],))
    next(lane), next(alone)
    for ours, theirs in ((lane.state.params, alone.state.params), (lane.state.buffers, alone.state.buffers)):
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key][1], value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "knobs"),
    [(name, {}) for name in RESIDUAL] + [("resnet", {"pre_activation": True}), ("resnet", {"shortcut": "average"})],
)
def test_skipping_a_branch_has_the_bits_of_masking_it(name: str, knobs: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = [row("stochastic_depth", searched("stochastic_depth")), row("dropout", searched("dropout"))]
    trial = tiny_trial(name, recipe, epochs=1, knobs=knobs)
    skipped = trained(trial)
    monkeypatch.setattr(Rng, "host", lambda self: None)
    masked = trained(trial)
    residual = sum(slot.kind == "residual" for slot in slots(skipped.train_step.net))
    assert (skipped.epochs[0][0].branches or 0) < (masked.epochs[0][0].branches or 0) == residual
    assert same(skipped.state.params, masked.state.params)
    assert same(skipped.state.buffers, masked.state.buffers)
    assert name == "vit" or any(name.endswith("running_var") for name in masked.state.buffers)


def test_activations_inside_branches_that_may_be_left_out_have_no_price() -> None:
    """Else a masked branch would have one and a skipped branch none."""
    with pytest.raises(Refused, match="expected a hidden slot outside residual branches"):
        trained(tiny_trial("wide_resnet", [row("kl_sparsity", searched("kl_sparsity"))]))


def normed(h: Tensor, layer: nn.Module) -> Tensor:
    """BatchNorm of training: by the statistics of this batch."""
    return batch_norm(h, None, None, layer.get_parameter("weight"), layer.get_parameter("bias"), training=True)


def roughened(block: nn.Module) -> nn.Module:
    """Give scales and shifts values that tell them apart."""
    for number, value in enumerate(block.parameters()):
        if value.ndim == 1:
            value.data.copy_(Rng(seed=number).uniform("rough", value.shape) + 0.5)
    return block


def test_a_block_activates_behind_the_sum_by_default_and_in_front_with_pre_activation() -> None:
    x = torch.randn(4, 16, 6, 6)
    post = roughened(started("resnet", depth=14).get_submodule("blocks.1"))
    branch = post.get_submodule("branch")
    h = normed(conv2d(x, branch.get_parameter("conv1.weight"), padding=1), branch.get_submodule("norm1")).relu()
    h = normed(conv2d(h, branch.get_parameter("conv2.weight"), padding=1), branch.get_submodule("norm2"))
    torch.testing.assert_close(post(x, straight), (x + h).relu())

    pre = roughened(started("resnet", depth=14, pre_activation=True).get_submodule("blocks.1"))
    branch = pre.get_submodule("branch")
    h = conv2d(normed(x, branch.get_submodule("first.norm")).relu(), branch.get_parameter("conv1.weight"), padding=1)
    h = conv2d(normed(h, branch.get_submodule("norm")).relu(), branch.get_parameter("conv2.weight"), padding=1)
    torch.testing.assert_close(pre(x, straight), x + h)


def test_the_first_block_of_a_stage_activates_before_the_fork() -> None:
    net, x = started("resnet", depth=14, pre_activation=True), torch.randn(4, 16, 6, 6)
    block = roughened(net.get_submodule("blocks.2"))
    branch = block.get_submodule("branch")
    start = normed(x, block.get_submodule("before.norm")).relu()
    h = conv2d(start, branch.get_parameter("conv1.weight"), stride=2, padding=1)
    h = conv2d(normed(h, branch.get_submodule("norm")).relu(), branch.get_parameter("conv2.weight"), padding=1)
    torch.testing.assert_close(block(x, straight), pad(start[..., ::2, ::2], (0, 0, 0, 0, 0, 16)) + h)
    shared = [n for n, _ in net.named_parameters() if "before.norm.weight" in n]
    assert shared == [f"blocks.{number}.before.norm.weight" for number in (0, 2, 4)]


def test_a_wide_block_that_changes_channels_activates_before_the_fork() -> None:
    net = started("wide_resnet", depth=10, width=2)
    block, x = roughened(net.get_submodule("blocks.1")), torch.randn(4, 32, 6, 6)
    branch = block.get_submodule("branch")
    start = normed(x, block.get_submodule("before.norm")).relu()
    h = conv2d(start, branch.get_parameter("conv1.weight"), stride=2, padding=1)
    h = conv2d(normed(h, branch.get_submodule("norm")).relu(), branch.get_parameter("conv2.weight"), padding=1)
    shortcut = conv2d(start, block.get_parameter("shortcut.weight"), stride=2)
    torch.testing.assert_close(block(x, straight), shortcut + h)
    narrow = started("wide_resnet", depth=10, width=1).get_submodule("blocks.0")
    assert not list(narrow.get_submodule("shortcut").parameters())


@pytest.mark.parametrize("side", [6, 7])
@pytest.mark.parametrize("pooling", ["subsample", "average"])
def test_shortcuts_of_a_resnet_have_no_parameters(pooling: str, side: int) -> None:
    net = started("resnet", shortcut=pooling, depth=8)
    assert not [name for name, _ in net.named_parameters() if "shortcut" in name]
    x = torch.randn(2, 16, side, side)
    small = x[..., ::2, ::2] if pooling == "subsample" else avg_pool2d(x, 2, ceil_mode=True)
    assert torch.equal(net.get_submodule("blocks.1.shortcut")(x), pad(small, (0, 0, 0, 0, 0, 16)))
    assert torch.equal(net.get_submodule("blocks.0.shortcut")(x), x)
    assert net.get_submodule("blocks.1")(x, straight).shape == (2, 32, 3 + side % 2, 3 + side % 2)


def test_a_vit_computes_what_that_of_torchvision_does_with_slots_where_it_drops() -> None:
    theirs = VisionTransformer(8, 4, 2, 2, 12, 48, num_classes=10, dropout=0.1).eval()
    net = roughened(started("vit", **TINY["vit"] | {"depth": 2})).eval()
    given = net.state_dict()
    ours = {
        "class_token": given["token.weight"][None],
        "conv_proj.weight": given["patches.weight"],
        "conv_proj.bias": given["patches.bias"],
        "encoder.pos_embedding": given["positions.weight"][None],
        "encoder.ln.weight": given["norm.weight"],
        "encoder.ln.bias": given["norm.bias"],
        "heads.head.weight": given["head.weight"],
        "heads.head.bias": given["head.bias"],
    }
    names = {
        "ln_1.": "attention.norm.",
        "self_attention.in_proj_": "attention.qkv.",
        "self_attention.out_proj.": "attention.projection.",
        "ln_2.": "mlp.norm.",
        "mlp.0.": "mlp.first.",
        "mlp.3.": "mlp.second.",
    }
    for block, (name, mine), kind in itertools.product(range(2), names.items(), ("weight", "bias")):
        ours[f"encoder.layers.encoder_layer_{block}.{name}{kind}"] = given[f"blocks.{block}.{mine}{kind}"]
    theirs.load_state_dict(ours)
    dropped: list[Tensor] = []
    for part in theirs.modules():
        if isinstance(part, nn.Dropout):
            part.register_forward_hook(lambda module, inputs, output: dropped.append(output))
    taps: list[Tensor] = []

    def bend(signal: Any, slot: Slot) -> Any:
        taps.extend([signal] if slot.kind == "hidden" else [])
        return signal

    x = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(net(x, bend), theirs(x))
    assert len(taps) == len(dropped) == 1 + 2 * 3
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(taps, dropped, strict=True))


def test_a_vit_pads_what_patches_do_not_divide_and_spares_its_embeddings() -> None:
    net, x = started("vit", shape=(3, 7, 8), **TINY["vit"]), torch.rand(2, 3, 7, 8)
    whole = started("vit", shape=(3, 8, 8), **TINY["vit"])
    assert torch.equal(net(x, straight), whole(pad(x, (0, 0, 0, 1)), straight))
    left = weights(dict(net.named_parameters()), spared(net))
    assert not [name for name in left if "norm" in name or name.startswith(("token", "positions"))]
    assert net.get_parameter("token.weight").eq(0).all()
    spread = started("vit", shape=(3, 64, 64)).get_parameter("positions.weight").std()
    assert abs(spread / 0.02 - 1) < 0.05


def test_random_features_approach_their_kernel() -> None:
    """A product of features has a variance of at most 1 / N, so 5 / sqrt(N) = 0.035 bounds 78 of them well."""
    sigma, count = 3.0, 20_000
    net = started("random_features", shape=(1, 4, 4), features=count, sigma=sigma)
    x = Rng(seed=0).normal("x", (12, 16))
    features = net.get_submodule("features")(x)
    kernel = (-torch.cdist(x, x).square() / (2 * sigma**2)).exp()
    assert 0.2 < kernel.masked_fill(torch.eye(12).bool(), 0).max() < 0.9  # there is something to see
    assert (features @ features.T - kernel).abs().max() < 5 / math.sqrt(count)

    relu = started("random_features", shape=(1, 4, 4), features=count, sigma=sigma, kind="relu")
    features, length = relu.get_submodule("features")(x), x.norm(dim=1)
    angle = (linear(x, x) / (length[:, None] * length)).clamp(-1, 1).acos()
    arc = (angle.sin() + (math.pi - angle) * angle.cos()) / math.pi * length[:, None] * length / sigma**2
    # Here the variance is at most 1.5 / N times the squared lengths, all over sigma^2: E max(g, 0)^4 = 1.5.
    assert (features @ features.T - arc).abs().max() < 5 * math.sqrt(6 / count) * length.max().square() / sigma**2


def test_random_features_do_not_train() -> None:
    lane = Lane((tiny_trial("random_features"),))
    before = {name: value.clone() for name, value in lane.state.buffers.items()}
    head = lane.state.params["head.weight"].clone()
    for _ in lane:
        pass
    assert list(lane.state.params) == ["head.weight", "head.bias"]
    assert before["features.directions"].ne(0).all()
    assert same(lane.state.buffers, before)
    assert not torch.equal(lane.state.params["head.weight"], head)


@pytest.mark.parametrize(
    ("name", "settings", "shape", "words"),
    [
        ("resnet", {"depth": 21}, (3, 8, 8), "network resnet.depth: expected 6n + 2, given 21; take 20 or 26"),
        ("resnet", {"depth": 7}, (3, 8, 8), "network.depth: expected a whole number in [8, 10000]"),
        ("wide_resnet", {"depth": 20}, (3, 8, 8), "expected 6n + 4, given 20; take 16 or 22"),
        ("resnet", {}, (3, 3, 8), "resnet: expected pictures of at least 4 x 4 pixels, given 3 x 8; take larger"),
        ("resnet9", {}, (1, 7, 7), "at least 8 x 8 pixels, given 7 x 7; take larger pictures, or a resnet"),
        ("convnet", {"channels": [4, 4, 4]}, (1, 8, 6), "at least 8 x 8 pixels, given 8 x 6; give channels for fewer"),
        ("vit", {"heads": 5}, (3, 8, 8), "network vit.heads: expected a divisor of the width 96, given 5; change one"),
        (
            "vit",
            {"patch": 9},
            (3, 8, 9),
            "vit: expected pictures of at least 9 x 9 pixels, given 8 x 9; give a smaller",
        ),
        ("convnet", {"channels": []}, (1, 8, 8), "network convnet.channels: expected at least one stage"),
        ("resnet", {"init": "hee"}, (1, 8, 8), "network.init: expected one of 'torch', 'he'"),
        ("srivastava2014", {"widths": [3]}, (1, 8, 8), "network: unknown setting 'widths'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    name: str, settings: Json, shape: tuple[int, int, int], words: str
) -> None:
    with pytest.raises(Refused, match=re.escape(words)):
        module(name, shape, "meta", **settings)


def test_the_page_lists_the_registry_and_every_network_names_its_source() -> None:
    text = (Path(__file__).resolve().parent.parent / "docs" / "networks.md").read_text()
    section = text.partition("# Networks\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", section, flags=re.MULTILINE)) == sorted(NETWORKS.all())
    assert all(source(cls) for cls in NETWORKS.all().values())
