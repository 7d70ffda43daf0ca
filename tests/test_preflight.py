"""What `regtune check` refuses because it makes no sense for this network and these data, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from regtune.core.errors import Refused
from regtune.execution.preflight import preflight
from regtune.sweep.sweep import Sweep
from tests.conftest import question, suggested

SWEEP = """
[data]
name = "digits"
[network]
name = "mlp"
widths = [8, 8]
{network}
[optimizer]
[training]
epochs = 4
batch = 16
[base]
{base}
[arms]
baseline = {{}}
ours = {{ {method} }}
[search]
trials = 2
[select]
seeds = 0
[confirm]
retrain = "{retrain}"
"""


def check(folder: Path, method: str, *, network: str = "", base: str = "", retrain: str = "none") -> str:
    """Return the line with which a sweep is refused, "" if it is not."""
    path = folder / "sweep.toml"
    path.write_text(SWEEP.format(method=method, network=network, base=base, retrain=retrain))
    try:
        preflight(Sweep.read(path))
    except Refused as error:
        return str(error)
    return ""


REFUSED = {
    "l2 = { strength = -1 }": "l2.strength: expected a number in [0, 1e6], given -1",
    "dropout = { p_hidden = 1.0 }": "dropout.p_hidden: expected a number in [0, 1), given 1.0",
    "dropout = { p_hidden = { low = 0.2, high = 1.0 } }": "dropout.p_hidden.high: expected a number in [0, 1)",
    "stochastic_depth = {}": "stochastic_depth needs a network with a slot of kind residual, this one",
    "kl_sparsity = { form = 'kl' }": "kl_sparsity.form: expected hidden activations in [0, 1] for 'kl'",
    "kl_sparsity = { form = ['squared', 'kl'] }": "set form = 'squared', or activation = 'sigmoid'",
    "rand_augment = { magnitude = 11 }": "rand_augment.magnitude: expected at most 10",
    "rand_augment = { magnitude = { low = 5, high = 20 } }": "given 20",
    "rand_augment = { magnitude = 31, scale = 'torchvision' }": "rand_augment.magnitude: expected a number in [0, 30]",
    "random_crop = { padding = 8 }": "random_crop.padding: expected a whole number below the 8 pixels of a side",
    "random_crop = { padding = 1.5 }": "random_crop.padding: expected a whole number",
    "cutout = { length = 16 }": "cutout.length: expected less than 16 for these pictures, given 16.0; lower length",
    "label_smoothing = { convention = 'wrong', eps = { low = 0.1, high = 0.95 } }": "eps: expected at most 0.9 for 10",
    "random_erasing = { area_low = 0.2 }": "random_erasing.area_low: expected at most area_high, 0.1, given 0.2",
    "l1 = { method = 'proximl' }": "did you mean 'proximal'?",
    "staircase = { milestones = [0.5, 1.0] }": "staircase.milestones[1]: expected a list of numbers in (0, 1)",
    "mixing = { one_of = { mixup = {}, stochastic_depth = {} } }": "slot of kind residual",
}


@pytest.mark.parametrize("method", REFUSED)
def test_what_makes_no_sense_is_refused_with_the_remedy(method: str, tmp_path: Path) -> None:
    said = check(tmp_path, method)
    assert "arms.ours" in said
    assert REFUSED[method] in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("method", "network"),
    [
        ("kl_sparsity = { form = 'kl' }", "activation = 'sigmoid'"),
        ("stochastic_depth = { scaling = 'train' }", "residual = true"),
        ("rand_augment = { magnitude = 30, scale = 'torchvision' }", ""),
        ("cutout = {}, random_crop = {}, random_erasing = {}, label_smoothing = { convention = 'wrong' }", ""),
    ],
)
def test_what_makes_sense_is_not(method: str, network: str, tmp_path: Path) -> None:
    assert check(tmp_path, method, network=network) == ""


def test_a_sigmoid_behind_a_shortcut_is_not_bounded(tmp_path: Path) -> None:
    said = check(tmp_path, "kl_sparsity = { form = 'kl' }", network="activation = 'sigmoid'\nresidual = true")
    assert "without shortcuts" in said


def test_a_narrowed_range_of_whole_numbers_keeps_its_steps(tmp_path: Path) -> None:
    assert check(tmp_path, "random_crop = { padding = { low = 1, high = 3 } }") == ""
    arm = Sweep.read(tmp_path / "sweep.toml").arm("ours")
    drawn = [
        suggested("random", question(arm.space, arm.when, number=seed))["random_crop.padding"] for seed in range(20)
    ]
    assert {1.0, 2.0, 3.0} == set(drawn)


def test_arithmetic_and_batches_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    def said(training: str, network: str = "") -> str:
        text = SWEEP.format(method="dropout = {}", network=network, base="", retrain="none")
        path = tmp_path / "sweep.toml"
        path.write_text(text.replace("batch = 16", training))
        with pytest.raises(Refused) as refusal:
            preflight(Sweep.read(path))
        return str(refusal.value)

    assert "training.autocast: expected dtype = 'float32'" in said("batch = 16\nautocast = true\ndtype = 'float64'")
    assert "training.batch: expected at least 2 for a network with BatchNorm" in said("batch = 1", "batch_norm = true")


def test_a_block_cannot_be_made_up_for_that_never_runs(tmp_path: Path) -> None:
    said = check(tmp_path, "stochastic_depth = { scaling = 'train', p_last = 0 }", network="residual = true")
    assert "stochastic_depth.p_last: expected a number above 0 with scaling = 'train', given 0" in said


def test_matching_a_loss_needs_a_best_epoch_in_every_recipe(tmp_path: Path) -> None:
    stopping = "early_stopping = {}"
    assert "arms.baseline: expected a method that keeps a best epoch" in check(tmp_path, stopping, retrain="loss")
    assert "add early_stopping to base" in check(
        tmp_path, "dropout = {}", base="early_stopping = { switch = true }", retrain="loss"
    )
    assert check(tmp_path, "dropout = {}", base=stopping, retrain="loss") == ""
    assert "confirm.retrain: expected 'none', 'updates', 'epochs' or 'loss'" in check(tmp_path, "", retrain="los")
