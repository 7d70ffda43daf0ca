"""Switches and one-of groups: how a sweep file says them, how `--set` does, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution

from regtune.core.errors import Refused
from regtune.execution.try_out import read_trial
from regtune.sweep.arms import Arm
from regtune.sweep.sweep import Sweep
from regtune.training.recipe import Recipe
from tests.command_line import called
from tests.test_cocktail import COCKTAIL, names, sweep_of, text_of, write


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Arm:
    return sweep_of(tmp_path_factory.mktemp("arm")).arm("cocktail")


def test_an_arm_holds_all_methods_in_the_order_of_the_file_and_all_paths(arm: Arm) -> None:
    assert names(arm.template.recipe) == [
        "l2", "dropout", "max_norm", "mixup", "label_smoothing", "exponential_decay", "linear_decay", "early_stopping",
    ]  # fmt: skip
    assert list(arm.space) == [
        "optimizer.learning_rate",
        "l2.switch", "l2.strength",
        "dropout.switch", "dropout.p_hidden",
        "max_norm.switch",
        "mixing.one_of", "mixup.alpha", "label_smoothing.eps",
        "decay.one_of", *(path for path in arm.space if path.split(".")[0] in ("exponential_decay", "linear_decay")),
        "early_stopping.patience",
    ]  # fmt: skip
    assert arm.space["dropout.switch"] == CategoricalDistribution([False, True])
    assert arm.space["mixing.one_of"] == CategoricalDistribution(["none", "mixup", "label_smoothing"])
    assert arm.space["decay.one_of"] == CategoricalDistribution(["exponential_decay", "linear_decay"])
    assert {name: str(condition) for name, condition in arm.conditions.items()} == {
        "l2": "l2.switch=true",
        "dropout": "dropout.switch=true",
        "max_norm": "max_norm.switch=true",
        "mixup": "mixing.one_of=mixup",
        "label_smoothing": "mixing.one_of=label_smoothing",
        "exponential_decay": "decay.one_of=exponential_decay",
        "linear_decay": "decay.one_of=linear_decay",
    }


def test_a_trial_has_the_methods_that_were_chosen_and_their_knobs(arm: Arm) -> None:
    params = {
        "optimizer.learning_rate": 0.1, "l2.switch": False, "dropout.switch": True, "dropout.p_hidden": 0.3,
        "max_norm.switch": True, "mixing.one_of": "label_smoothing", "label_smoothing.eps": 0.2,
        "decay.one_of": "linear_decay", "early_stopping.patience": 4,
    }  # fmt: skip
    trial = arm.trial(params, seed=1, phase="search")
    assert names(trial.recipe) == ["dropout", "max_norm", "label_smoothing", "linear_decay", "early_stopping"]
    assert trial.recipe[0] | {"p_hidden": 0.3, "p_input": 0.1} == trial.recipe[0]
    assert not any("switch" in row or "one_of" in row for row in trial.recipe)
    Recipe.read(trial.recipe)
    with pytest.raises(Refused, match=r"^l2\.strength: l2 is off; add l2\.switch=true$"):
        arm.trial(params | {"l2.strength": 0.1}, seed=1, phase="search")
    with pytest.raises(Refused, match=r"^mixup\.alpha: mixup is off; add mixing\.one_of=mixup$"):
        arm.trial(params | {"mixup.alpha": 0.1}, seed=1, phase="search")


def test_a_switch_that_is_false_is_none_at_all(tmp_path: Path) -> None:
    without = sweep_of(tmp_path, "{ dropout = { p_hidden = 0.2 } }").arm("cocktail")
    assert sweep_of(tmp_path, "{ dropout = { switch = false, p_hidden = 0.2 } }").arm("cocktail") == without


def test_base_may_have_both(tmp_path: Path) -> None:
    base = "l1 = { switch = true }\nmixing = { one_of = { mixup = {} } }"
    sweep = sweep_of(tmp_path, "{ dropout = { switch = true } }", base)
    assert list(sweep.arm("baseline").conditions) == ["l1", "mixup"]
    assert list(sweep.arm("cocktail").conditions) == ["l1", "mixup", "dropout"]


def test_the_budget_counts_every_path(tmp_path: Path) -> None:
    sweep = Sweep.read(write(tmp_path, text_of(COCKTAIL).replace("trials = 4", "trials_per_knob = 2")))
    assert sweep.budget(sweep.arm("cocktail")) == 2 * len(sweep.arm("cocktail").space)
    assert sweep.budget(sweep.arm("baseline")) == 2


# An arm's table, and what the line must say in this order: where, what is expected, what was given, the remedy.
BAD: dict[str, tuple[str, list[str]]] = {
    "switch": ("dropout = { switch = 1 }", ["arms.cocktail.dropout.switch: expected true", "false", "given 1"]),
    "switch-list": ("dropout = { switch = [true, false] }", ["dropout.switch: expected true", "given [True, False]"]),
    "switch-misspelt": ("dropout = { swich = true }", ["arms.cocktail.dropout", "'swich'", "mean 'switch'"]),
    "group-called-as-a-method": (
        "dropout = { one_of = { l1 = {}, l2 = {} } }",
        ["arms.cocktail.dropout: expected a group with a name of its own", "given a method's", "rename"],
    ),
    "group-called-optimizer": (
        "optimizer = { one_of = { l1 = {} } }",
        ["arms.cocktail.optimizer: expected a name", "given optimizer", "remove"],
    ),
    "group-name": ('"a.b" = { one_of = { l1 = {} } }', ["arms.cocktail: expected a group called by letters", "'a.b'"]),
    "member-misspelt": (
        "mixing = { one_of = { mixpu = {} } }",
        ["arms.cocktail.mixing.one_of: unknown regularizer 'mixpu'", "did you mean 'mixup'"],
    ),
    "member-knob": (
        "mixing = { one_of = { mixup = { alhpa = 1 } } }",
        ["arms.cocktail.mixing.one_of.mixup: unknown knob 'alhpa'", "did you mean 'alpha'"],
    ),
    "member-no-table": ("mixing = { one_of = { mixup = 3 } }", ["mixing.one_of.mixup: expected a table", "given 3"]),
    "members-list": ('mixing = { one_of = ["mixup"] }', ["mixing.one_of: expected a table", "given ['mixup']"]),
    "members-none": ("mixing = { one_of = {} }", ["mixing.one_of: expected at least one method, given []", "remove"]),
    "members-one": (
        "mixing = { one_of = { mixup = {} }, none = false }",
        ["mixing.one_of: expected at least two methods beside none = false, given ['mixup']", "add one"],
    ),
    "member-none": (
        "mixing = { one_of = { none = {}, mixup = {} } }",
        ["mixing.one_of.none: expected a method", 'given "none"', "remove"],
    ),
    "member-switch": (
        "mixing = { one_of = { mixup = { switch = true } } }",
        ["mixing.one_of.mixup.switch: expected no switch within a group, given True", "remove"],
    ),
    "group-switch": (
        "mixing = { switch = true, one_of = { mixup = {} } }",
        ["mixing.switch: expected no switch beside one_of, given True", "remove"],
    ),
    "group-in-group": (
        "mixing = { one_of = { inner = { one_of = { mixup = {} } } } }",
        ["mixing.one_of.inner: expected a method, given a group in a group", "into one"],
    ),
    "group-setting": ("mixing = { one_of = { mixup = {} }, nnoe = false }", ["mixing", "'nnoe'", "mean 'none'"]),
    "none-word": (
        'mixing = { one_of = { mixup = {} }, none = "off" }',
        ["mixing.none: expected true or false", "given 'off'"],
    ),
    "one-of-forgotten": (
        "mixing = { mixup = {}, l1 = {} }",
        ["arms.cocktail: unknown regularizer 'mixing'", "a group is written mixing = { one_of = { ... } }"],
    ),
    "one-of-misspelt": ("mixing = { oneof = { mixup = {} } }", ["unknown regularizer 'mixing'", "mixing = { one_of"]),
    "twice-group-and-plain": (
        "mixup = {}, mixing = { one_of = { mixup = {} } }",
        ["arms.cocktail.mixing.one_of.mixup: expected a name", "given mixup", "at arms.cocktail.mixup", "remove one"],
    ),
    "twice-two-groups": (
        "a = { one_of = { l1 = {}, l2 = {} } }, b = { one_of = { l2 = {} } }",
        ["arms.cocktail.b.one_of.l2: expected a name", "given l2", "at arms.cocktail.a.one_of.l2", "remove one"],
    ),
    "twice-base": (
        "mixing = { one_of = { gaussian_dropout = {} } }",
        ["arms.cocktail.mixing.one_of.gaussian_dropout: expected", "at base.gaussian_dropout"],
    ),
    "twice-group-of-base": (
        "shared = { one_of = { l1 = {} } }",
        ["arms.cocktail.shared: expected a name", "given shared", "at base.shared"],
    ),
}
BASE = "gaussian_dropout = {}\nshared = { one_of = { elastic_net = {} } }"


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line_that_says_where_what_and_what_else(case: str, tmp_path: Path) -> None:
    table, words = BAD[case]
    path = write(tmp_path, text_of(f"{{ {table} }}", BASE))
    with pytest.raises(Refused) as caught:
        Sweep.read(path)
    said = str(caught.value).removeprefix(f"{path}: ")
    assert len(said.splitlines()) == 1
    assert len(said) < 400
    place = 0
    for word in words:
        assert word in said[place:], said
        place = said.index(word, place) + len(word)


@pytest.mark.parametrize("word", ["switch", "one_of"])
def test_a_regularizer_has_no_knob_called_by_a_word_of_sweep_files(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"knob_{word}.py").write_text(
        "from dataclasses import dataclass\nfrom regtune.regularizers import Regularizer\n"
        "from regtune.core.knobs import knob\n@dataclass(frozen=True, kw_only=True)\n"
        f"class Own(Regularizer):\n    {word}: bool = knob(default=True, meaning='x')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write(tmp_path, f'plugins = ["knob_{word}"]\n' + text_of("{ own = {} }"))
    with pytest.raises(Refused, match=rf"knob_{word}\.Own\.{word}: expected another name.*rename") as caught:
        Sweep.read(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_plugin_s_method_may_be_in_a_group_and_no_group_may_be_called_like_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_method.py").write_text(
        "from regtune.regularizers import Regularizer\nclass Own(Regularizer): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = 'plugins = ["own_method"]\n'
    sweep = Sweep.read(write(tmp_path, plugins + text_of("{ a = { one_of = { own = {}, l1 = {} } } }")))
    assert str(sweep.arm("cocktail").conditions["own"]) == "a.one_of=own"
    with pytest.raises(Refused, match=r"arms\.cocktail\.own: expected a group with a name of its own"):
        Sweep.read(write(tmp_path, plugins + text_of("{ own = { one_of = { l1 = {} } } }")))


# Trials by hand.


def test_without_settings_switches_are_off_and_groups_at_their_first_choice(arm: Arm) -> None:
    assert names(read_trial(arm, [], 0).recipe) == ["exponential_decay", "early_stopping"]


def test_knobs_of_what_is_switched_on_may_be_set_in_any_order(arm: Arm) -> None:
    words = ["dropout.p_hidden=0.3", "dropout.switch=true", "mixing.one_of=mixup", "decay.one_of=linear_decay"]
    recipe = read_trial(arm, words, 0).recipe
    assert names(recipe) == ["dropout", "mixup", "linear_decay", "early_stopping"]
    assert recipe[0]["p_hidden"] == 0.3
    assert names(read_trial(arm, ['mixing.one_of="none"', "l2.switch=false"], 0).recipe) == names(
        read_trial(arm, [], 0).recipe
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dropout.p_hidden=0.3"], "--set dropout.p_hidden: dropout is off; add --set dropout.switch=true"),
        (["dropout.p_input=0.3"], "--set dropout.p_input: dropout is off; add --set dropout.switch=true"),
        (["mixup.alpha=0.3"], "--set mixup.alpha: mixup is off; add --set mixing.one_of=mixup"),
        (["mixup.alpha=0.3", "mixing.one_of=label_smoothing"], "mixup is off; add --set mixing.one_of=mixup"),
        (["dropout.switch=1"], "--set dropout.switch: expected true or false, given 1"),
        (["dropout.switch=True"], "--set dropout.switch: expected true or false, given 'True'"),
        (["mixing.one_of=mixpu"], "given 'mixpu' (did you mean 'mixup'?)"),
        (
            ["decay.one_of=none"],
            "--set decay.one_of: expected one of 'exponential_decay', 'linear_decay', given 'none'",
        ),
        (["mixing.oneof=mixup"], "--set mixing.oneof: unknown knob 'oneof' (did you mean 'one_of'?)"),
        (["mixng.one_of=mixup"], "--set mixng.one_of: unknown method 'mixng' in arm cocktail (did you mean 'mixing'?)"),
        (["early_stopping.switch=true"], "--set early_stopping.switch: unknown knob 'switch'"),
    ],
)
def test_what_cannot_be_set_is_refused_in_one_line(arm: Arm, words: list[str], said: str) -> None:
    with pytest.raises(Refused) as caught:
        read_trial(arm, words, 0)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_plan_marks_the_knobs_that_are_not_always_searched(tmp_path: Path) -> None:
    sweep_of(tmp_path, "{ dropout = { switch = true }, l2 = {} }")
    done = called("plan", "small.toml", folder=tmp_path, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "dropout.switch, (dropout.p_hidden), l2.strength" in " ".join(done.stdout.split())
    assert "in parentheses: searched only in trials that use the method" in done.stdout
