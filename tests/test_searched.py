"""`regtune plan` prints what is searched and what is fixed, and what of it may not be meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from regtune.cli.plan import plan_table
from regtune.sweep.searched import doubts, knob_rows
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP

RATE = "learning_rate = { low = 0.001, high = 0.3, log = true }"


def swept(folder: Path, *changes: tuple[str, str]) -> Sweep:
    text = SWEEP
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "sweep.toml"
    path.write_text(text)
    return Sweep.read(path)


def test_ranges_lists_and_fixed_values_of_every_arm_are_told_once(tmp_path: Path) -> None:
    arms = """[base]
l2 = { strength = 0.001 }
[arms]
baseline = {}
switched = { dropout = { switch = true, p_input = [0.1, 0.2, 0.3] } }
grouped = { mixing = { one_of = { mixup = {}, cutmix = { prob = 0.5 } } }, rand_augment = { num_ops = 2 } }
pads = { random_crop = { padding = { low = 1, high = 3 } }, staircase = { milestones = [0.3, 0.6] } }
[search]"""
    start, end = SWEEP.index("[arms]"), SWEEP.index("[search]") + len("[search]")
    sweep = swept(tmp_path, (SWEEP[start:end], arms))
    rows = dict(knob_rows(sweep))
    assert rows["every arm"] == (
        "optimizer: learning_rate [0.001, 0.3] log, momentum = 0.9, nesterov = false; l2: strength = 0.001"
    )
    assert "baseline" not in rows
    assert rows["switched"].startswith("dropout in or out: ")
    assert "p_input one of 0.1, 0.2, 0.3" in rows["switched"]
    assert "p_hidden [0.1, 0.7]" in rows["switched"]
    assert rows["grouped"].startswith("mixing: one of mixup, cutmix or none; mixup: alpha [0.05, 2] log, per = batch; ")
    assert "prob = 0.5" in rows["grouped"]
    assert "num_ops = 2" in rows["grouped"]
    assert "padding [1, 3] step 1" in rows["pads"]
    assert "milestones = [0.3, 0.6]" in rows["pads"]
    with (console := Console(width=300)).capture() as text:
        console.print(plan_table(sweep))
    for row in rows.values():
        assert row in text.get()


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (RATE, []),
        ("learning_rate = [0.001, 0.01, 0.1]", []),
        (
            "learning_rate = [0.001, 0.1]",
            ["optimizer.learning_rate: a list is of choices, here two: 0.001 and 0.1, and nothing between them; "
             "a range is { low = 0.001, high = 0.1, log = true }"],
        ),
        ("learning_rate = 0.05", ["optimizer.learning_rate is not searched, it is 0.05 in every arm"]),
        ("", ["optimizer.learning_rate is not searched, it is 0.1 in every arm"]),
        ("name = 'adamw'", ["optimizer.learning_rate is not searched, it is 0.001 in every arm"]),
        (f"{RATE}\nmomentum = [0.8, 0.9]", ["optimizer.momentum: a list is of choices, here two: 0.8 and 0.9"]),
    ],
)  # fmt: skip
def test_what_may_not_be_meant_is_told(rate: str, said: list[str], tmp_path: Path) -> None:
    sweep = swept(tmp_path, (RATE, rate))
    found = doubts(sweep)
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))
    with (console := Console(width=400)).capture() as text:
        console.print(plan_table(sweep))
    assert text.get().count("note: ") == len(said)
    assert all(start in text.get() for start in said)


def test_lists_of_an_arm_are_told_with_their_place_and_lists_of_words_and_values_are_none(tmp_path: Path) -> None:
    mixup, staircase = (
        "mixup = { alpha = [0.5, 0.4], per = ['batch', 'example'] }",
        "staircase = { milestones = [0.3, 0.6] }",
    )
    arm = f"mixup = {{ {mixup}, {staircase} }}"
    (said,) = doubts(swept(tmp_path, ("mixup = { mixup = {} }", arm)))
    assert said.startswith("arms.mixup.mixup.alpha: a list is of choices, here two: 0.5 and 0.4")
    assert said.endswith("a range is { low = 0.4, high = 0.5 }")
