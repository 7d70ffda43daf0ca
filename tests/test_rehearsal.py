"""`regtune check` takes one real step of every arm: what cannot be trained is one line, other noise is named."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from regtune.core.errors import Refused
from regtune.core.global_rng import GlobalStates
from regtune.core.rng import Rng
from regtune.data import DataLocation, Splits
from regtune.execution.preflight import preflight
from regtune.execution.rehearsal import rehearse, variants
from regtune.regularizers import DenoisingAutoencoder, Pretrained
from regtune.sweep.sweep import Sweep

SWEEP = """
plugins = ["tests.plugin_noise"]
[data]
name = "synthetic"
{data}
[network]
name = "wild"
{network}
[optimizer]
learning_rate = {{ low = 0.001, high = 0.1, log = true }}
[training]
epochs = 40
batch = {batch}
[arms]
baseline = {{}}
{arms}
[search]
trials = 2
[select]
seeds = 0
"""


def swept(folder: Path, arms: str = "", network: str = "", data: str = "", batch: int = 16) -> Sweep:
    path = folder / "sweep.toml"
    text = SWEEP.format(arms=arms, network=network, data=data, batch=batch)
    if "name" in data:
        text = text.replace('name = "synthetic"\n', "")
    if "name" in network:
        text = text.replace('name = "wild"\n', "")
    path.write_text(text)
    return Sweep.read(path)


def checked(sweep: Sweep, place: Path | None = None) -> list[str]:
    """Return the notes of a check, or the line of its refusal."""
    before = GlobalStates.now()
    try:
        notes = rehearse(sweep, preflight(sweep, DataLocation(root=place)).splits)
    except Refused as error:
        notes = [f"refused: {error}"]
    assert GlobalStates.now().other_than(before) == []
    assert not any("\n" in note for note in notes)
    return notes


@pytest.mark.parametrize("batch_norm", ["true", "false"])
def test_nothing_is_said_of_what_draws_from_step_noise_only(batch_norm: str, tmp_path: Path) -> None:
    arms = (
        """noisy = { pixel_noise = { source = "step" } }\ndropout = { dropout = {} }\nfour = { mixup = {}, ema = {} }"""
    )
    assert checked(swept(tmp_path, arms, f"batch_norm = {batch_norm}")) == []


WRONG = {
    'returns = "tuple"': "for 16 pictures, given (a tensor [16, 4], a tensor [16, 12])",
    'returns = "flat"': "for 16 pictures, given a tensor [64]",
    'returns = "deep"': "for 16 pictures, given a tensor [16, 1, 4]",
    'returns = "one_class"': "expected logits for 4 classes, those of the data, given 1; build is told the number",
}


@pytest.mark.parametrize("network", WRONG)
def test_a_network_with_another_result_is_refused(network: str, tmp_path: Path) -> None:
    (said,) = checked(swept(tmp_path, network=network))
    assert said.startswith("refused: arms.baseline: one step on 16 examples: ")
    assert WRONG[network] in said


MISTAKES = {
    'wrong = { what = "augment" }': "wrong.augment: expected (x [N, C, H, W], y [N, 4]), two tensors of one N, given "
    "a tensor [16, 1, 4, 4]",
    'wrong = { what = "targets" }': "given (a tensor [16, 1, 4, 4], a tensor [16])",
    'wrong = { what = "bend" }': "wrong.bend at hidden1: expected a tensor [16, 12] as it came, given a tensor [1, 12]",
    'wrong = { what = "penalty" }': "wrong.penalty: expected a scalar, given a tensor [4]; take its sum or its mean",
    "wrong_signature = {}": "TypeError: WrongSignature.augment() takes 3 positional arguments but 4 were given",
    'wrong = { what = "raises" }': "KeyError: 'strength', in Wrong.augment (plugin_noise.py:",
    'wrong = { what = "stop" }': "AttributeError: 'Epoch' object has no attribute 'accuracy', in Wrong.stop (plugin_no",
}


@pytest.mark.parametrize("method", MISTAKES)
def test_a_method_that_gets_something_wrong_is_refused_with_its_place(method: str, tmp_path: Path) -> None:
    (said,) = checked(swept(tmp_path, f"good = {{ l2 = {{}} }}\nours = {{ {method} }}"))
    assert said.startswith("refused: arms.ours: one step on 16 examples: ")
    assert MISTAKES[method] in said


def test_a_step_on_few_examples_that_fails_is_tried_as_it_will_be(tmp_path: Path) -> None:
    assert checked(swept(tmp_path, 'ours = { wrong = { what = "few" } }')) == []
    (said,) = checked(swept(tmp_path, 'ours = { wrong = { what = "few" } }', batch=11))
    assert "RuntimeError: at least twelve" in said


NOISE = {
    'inside = "dropout"': "the global state of torch in _Wild.noisy (plugin_noise.py:",
    'inside = "numpy"': "the global state of numpy in _Wild.noisy (plugin_noise.py:",
    'inside = "random"': "the global state of random in _Wild.noisy (plugin_noise.py:",
}


@pytest.mark.parametrize("network", NOISE)
def test_noise_of_a_network_is_named_with_its_source_and_place(network: str, tmp_path: Path) -> None:
    (said,) = checked(swept(tmp_path, "l2 = { l2 = {} }", network))
    assert said.startswith("every arm: noise from outside step.noise, from ")
    assert NOISE[network] in said
    assert "not paired" in said


@pytest.mark.parametrize("source", ["torch", "numpy", "random"])
def test_noise_of_a_method_is_named_with_its_arms(source: str, tmp_path: Path) -> None:
    ours = f'{{ pixel_noise = {{ source = "{source}" }} }}'
    (said,) = checked(swept(tmp_path, f"ours = {ours}\nmore = {ours}\nl2 = {{ l2 = {{}} }}"))
    assert said.startswith("arms.ours, arms.more: noise from outside step.noise")
    assert f"the global state of {source} in PixelNoise.augment" in said


@pytest.mark.parametrize(
    ("arms", "network"), [("", 'inside = "own"'), ('ours = { pixel_noise = { source = "own" } }', "")]
)
def test_noise_that_nothing_seeds_is_told_apart(arms: str, network: str, tmp_path: Path) -> None:
    (said,) = checked(swept(tmp_path, arms, network))
    assert "two runs of one step under one seed differ: something draws from a generator of its own" in said
    assert said.startswith("arms.ours" if arms else "every arm")


def test_noise_in_evaluation_is_told_too(tmp_path: Path) -> None:
    noise, evaluation = checked(swept(tmp_path, network='inside = "dropout_always"'))
    assert "noise from outside step.noise" in noise
    assert evaluation.startswith("every arm: evaluation draws random numbers")


def test_outputs_that_are_probabilities_are_told(tmp_path: Path) -> None:
    (said,) = checked(swept(tmp_path, "l2 = { l2 = {} }", 'returns = "softmax"'))
    assert said.startswith("every arm: the outputs of the network are probabilities, from 0 to 1 with a sum of 1; ")
    assert checked(swept(tmp_path, network='returns = "log_softmax"')) == [], "whose softmax is that of the logits"


@pytest.mark.parametrize(("what", "value"), [("nan", "nan"), ("infinite", "inf")])
def test_an_objective_that_is_no_number_at_the_first_step_is_told(what: str, value: str, tmp_path: Path) -> None:
    (said,) = checked(swept(tmp_path, f'good = {{ l2 = {{}} }}\nours = {{ wrong = {{ what = "{what}" }} }}'))
    assert said.startswith(f"arms.ours: the objective of the first step is {value}, before any update")


def test_a_method_without_a_hook_is_told(tmp_path: Path) -> None:
    (said,) = checked(swept(tmp_path, "good = { l2 = {} }\nours = { l2 = {}, hookless = {} }"))
    assert said.startswith("arms.ours.hookless: it has none of the hooks (pretrain, prepare, augment, ")


def test_a_switched_method_and_each_of_a_group_are_rehearsed(tmp_path: Path) -> None:
    arm = "group = { one_of = { mixup = {}, pixel_noise = {}, l2 = {} } }\nl1 = { switch = true }"
    sweep = swept(tmp_path, f"[arms.ours]\n{arm}")
    recipes = [{row["name"] for row in trial.recipe} for trial in variants(sweep.arm("ours"))]
    assert set(itertools.chain.from_iterable(recipes)) == {"mixup", "pixel_noise", "l2", "l1"}
    assert all(len(names & {"mixup", "pixel_noise", "l2"}) <= 1 for names in recipes)
    (said,) = checked(sweep)
    assert said.startswith("arms.ours: noise from outside step.noise")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("scale = 255", "data homemade: expected pictures in [0, 1] or uint8, given"),
        ("kind = 'int64'", "expected pictures as uint8 or floats in [0, 1], given int64; convert them to uint8"),
        ("moving = true", "given Moving"),
        ("kind = 'uint8'", ""),
        ("", ""),
    ],
)
def test_pictures_outside_of_0_to_1_are_refused(data: str, words: str, tmp_path: Path) -> None:
    found = checked(swept(tmp_path, data=f'name = "homemade"\ntrain = 48\nvalidation = 32\n{data}'))
    assert (words in found[0]) if words else found == []


def test_pictures_that_are_no_numbers_are_refused_whatever_the_data_set(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((60, 4, 4)).astype(np.float32)
    images[3, 1, 1] = np.nan
    np.savez(tmp_path / "mine.npz", x=images, y=np.arange(60) % 3)
    (said,) = checked(swept(tmp_path, data='name = "npz"\npath = "mine.npz"\nvalidation = 10'), tmp_path)
    assert "expected x without NaN and infinity, given 1 of 960 values" in said


def test_loaded_weights_that_would_be_drawn_anew_are_told(tmp_path: Path) -> None:
    (said,) = checked(swept(tmp_path, network='name = "pretrained"'))
    assert "init = 'torch' redraws them; init = 'keep' in [network] keeps them" in said
    assert checked(swept(tmp_path, network='name = "pretrained"\ninit = "keep"')) == []


def test_a_step_on_another_device_that_fails_is_told_and_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    swept(tmp_path, 'ours = { wrong = { what = "raises" } }')
    path.write_text(path.read_text() + "[cluster]\ngpus_per_trial = 1\n")
    sweep = Sweep.read(path)
    assert sweep.arms[0].template.device == "cuda"
    (said,) = checked(sweep)
    assert said.startswith("arms.ours: not rehearsed: trials are for cuda, and on the CPU fails one step on 16")


def test_the_commands_say_it_in_one_line(tmp_path: Path) -> None:
    swept(tmp_path, 'ours = { wrong = { what = "raises" } }', 'inside = "dropout"')
    root = Path(__file__).resolve().parent.parent

    def said(*words: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, "-m", "regtune", *words], cwd=root, capture_output=True, text=True, check=False
        )
        return done.returncode, [*done.stdout.splitlines(), *done.stderr.splitlines()]

    sweep = str(tmp_path / "sweep.toml")
    for words in (("check", sweep), ("trial", sweep, "--arm", "ours")):
        code, lines = said(*words)
        assert code == 2
        assert "arms.ours: one step on 16 examples: KeyError: 'strength', in Wrong.augment" in lines[-1]
        assert len(lines) == len(words[2:]) // 2 + 1
    swept(tmp_path, network='inside = "dropout"')
    code, lines = said("check", sweep)
    assert code == 0
    assert [line.partition(":")[0] for line in lines] == [sweep, "note"]


def test_what_is_checked_is_not_what_is_trained(tmp_path: Path) -> None:
    """A rehearsal moves no weight of a trial, and data keep their examples."""
    sweep = swept(tmp_path)
    splits = preflight(sweep).splits
    index = splits.train.index.clone()
    rehearse(sweep, splits)
    assert torch.equal(splits.train.index, index)
    assert splits.test is not None


def test_a_rehearsal_pretrains_on_few_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check takes seconds, whatever pretraining takes."""
    sizes, original = [], DenoisingAutoencoder.pretrain

    def noted(self: DenoisingAutoencoder, net: nn.Module, data: Splits, noise: Rng) -> Pretrained:
        sizes.append((len(data.train), data.unlabelled))
        return original(self, net, data, noise)

    monkeypatch.setattr(DenoisingAutoencoder, "pretrain", noted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sweep = swept(tmp_path, "encoded = { denoising_autoencoder = { epochs = 2 } }", 'name = "mlp"')
    splits = preflight(sweep, DataLocation(root=None)).splits
    spare = splits.train.take(torch.arange(20))
    assert rehearse(sweep, dataclasses.replace(splits, unlabelled=spare)) == []
    ((count, unlabelled),) = sizes
    assert count < len(splits.train)
    assert unlabelled is None
