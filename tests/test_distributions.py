"""Searched ranges in a log: compared as values, whatever Optuna prints, and said as a sweep file says them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from regtune.core.distributions import choices_of, holds, plain, read, read_all, words
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.results.loader import load
from regtune.samplers._unit import value_at
from regtune.storage.compatibility import changed
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import write_log
from tests.resuming import SMALL, ran, rows_of
from tests.resuming import read as read_sweep

FLOATS = st.floats(1e-6, 1.0).map(lambda x: float(f"{x:.3g}"))
RANGES: st.SearchStrategy[BaseDistribution] = st.one_of(
    st.builds(lambda low, width, log: FloatDistribution(low, low + width, log=log), FLOATS, FLOATS, st.booleans()),
    st.builds(lambda low, count, log: IntDistribution(low, low + count, log=log),
              st.integers(1, 9), st.integers(1, 40), st.booleans()),
    st.builds(lambda count, step: IntDistribution(0, count * step, step=step), st.integers(1, 9), st.integers(2, 5)),
    st.builds(lambda count: FloatDistribution(0.0, count / 4, step=0.25), st.integers(1, 9)),
    st.lists(st.sampled_from(["a", "off", True, False, 1.5, 2.5]), min_size=1, max_size=4, unique=True).map(choices_of),
    st.lists(st.lists(FLOATS, max_size=2), min_size=1, max_size=3).map(choices_of),
)  # fmt: skip


def printed(space: BaseDistribution, order: str) -> str:
    """Return a distribution as a release of Optuna prints it that has its fields in some order."""
    fields = dict(vars(space))
    names = {"sorted": sorted(fields), "reverse": sorted(fields, reverse=True), "own": list(fields)}[order]
    return f"{type(space).__name__}({', '.join(f'{name}={fields[name]!r}' for name in names)})"


@given(RANGES)
def test_what_is_written_is_read_and_is_optunas_own(space: BaseDistribution) -> None:
    row = json.loads(json.dumps(plain(space), allow_nan=False))
    assert read(row) == space == read(str(space))
    if not isinstance(space, CategoricalDistribution) or all(not isinstance(c, list) for c in space.choices):
        assert json_to_distribution(json.dumps(row)) == space


@given(RANGES, st.sampled_from(["sorted", "reverse", "own"]))
def test_the_order_in_which_fields_are_printed_does_not_matter(space: BaseDistribution, order: str) -> None:
    if not isinstance(space, CategoricalDistribution):
        assert read(printed(space, order)) == space


@given(RANGES, RANGES)
def test_words_are_those_of_a_sweep_file_and_differ_where_values_do(one: Any, other: Any) -> None:
    value = tomllib.loads(f"x = {words(one)}")["x"]
    if isinstance(one, CategoricalDistribution):
        assert value == list(one.choices)
    else:
        usual = 1 if isinstance(one, IntDistribution) else None
        given = (value["low"], value["high"], value.get("log", False), value.get("step", usual))
        assert given == (one.low, one.high, one.log, one.step)
        assert type(value["low"]) is (int if isinstance(one, IntDistribution) else float)
    assert (words(one) == words(other)) == (plain(one) == plain(other))


@given(RANGES, st.floats(0, 1, exclude_max=True))
def test_what_a_sampler_draws_is_in_the_range(space: BaseDistribution, u: float) -> None:
    assert holds(space, value_at(space, u))
    assert not holds(space, "nowhere") and not holds(space, 1e9)


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (FloatDistribution(0.0, 1.0), True),
        (IntDistribution(0, 8, step=2), 3),
        (FloatDistribution(0.0, 1.0, step=0.25), 0.3),
        (choices_of([1.0, "off"]), True),
        (choices_of([[0.5], [0.5, 0.75]]), [0.75]),
    ],
)
def test_what_is_not_in_the_range(space: BaseDistribution, value: Any) -> None:
    assert not holds(space, value)


# Logs of versions that wrote what Optuna printed.

MANY = SMALL.replace(
    "dropout = { dropout = {} }",
    "dropout = { dropout = { p_input = [0.0, 0.2] } }\nra = { max_norm = { c = { low = 1, high = 4, log = true } } }",
)


def as_printed(rows: list[Json], order: str) -> list[Json]:
    """Return the rows of a log as a version wrote them that had the text of Optuna, its fields in some order."""

    def text(row: Json) -> Json:
        arms = {
            name: {**arm, "space": {path: printed(read(s), order) for path, s in arm["space"].items()}}
            for name, arm in row["sweep"]["arms"].items()
        }
        return {**row, "sweep": {**row["sweep"], "arms": arms}}

    return [text(row) if row["event"] == "header" else row for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("many"), MANY)


@pytest.mark.parametrize("order", ["sorted", "reverse", "own"])
def test_a_finished_sweep_goes_on_whatever_optuna_printed(finished: Path, order: str, tmp_path: Path) -> None:
    log = tmp_path / "small" / "log.jsonl"
    write_log(log, as_printed(read_log(finished)[0], order))
    before = log.read_bytes()
    assert "Distribution(" in before.decode()
    ran(tmp_path, MANY)
    assert log.read_bytes() == before, "nothing to do, nothing to say"
    for arm, row in load(log).sweep.arms.items():
        assert read_all(row.space) == read_all(load(finished).sweep.arms[arm].space)
    ran(tmp_path, MANY.replace("trials = 2", "trials = 3"))
    assert [row["cell"] for row in rows_of(log, "asked")][-3:][0][1:] in (["search", 2], ["confirm", 1])
    assert sum(row["cell"][1] == "search" for row in rows_of(log, "asked")) == 9


@pytest.mark.parametrize("order", ["json", "sorted", "reverse"])
def test_refusals_say_ranges_as_the_sweep_file_does(finished: Path, order: str, tmp_path: Path) -> None:
    rows = read_log(finished)[0]
    write_log(tmp_path / "small" / "log.jsonl", rows if order == "json" else as_printed(rows, order))
    text = MANY.replace("high = 0.3", "high = 0.4").replace("[0.0, 0.2]", "[0.0, 0.25]")
    with pytest.raises(Refused) as caught:
        ran(tmp_path, text)
    line = str(caught.value)
    assert "Distribution" not in line and len(line.splitlines()) == 1
    was, now = (f"{{ low = 0.001, high = {high}, log = true }}" for high in (0.3, 0.4))
    assert f"arms.baseline.space.optimizer.learning_rate: {was} -> {now}" in line
    assert "arms.dropout.space.dropout.p_input: [0.0, 0.2] -> [0.0, 0.25]" in line
    assert "p_hidden" not in line and "max_norm" not in line, "what is the same is not named"


def test_a_range_and_a_number_are_a_change_both_ways(tmp_path: Path) -> None:
    fixed = MANY.replace("{ low = 0.001, high = 0.3, log = true }", "0.1")
    for before, after in ((MANY, fixed), (fixed, MANY)):
        with pytest.raises(Refused, match=r"learning_rate: .*\{ low = 0\.001, high = 0\.3, log = true \}"):
            changed(read_sweep(tmp_path, before).plain(), read_sweep(tmp_path, after).plain())


# Lists as choices.

STAIRS = SMALL.replace(
    "dropout = { dropout = {} }", "stairs = { staircase = { factor = 0.5, milestones = [[0.5], [0.5, 0.75]] } }"
)


@pytest.mark.parametrize("sampler", ["random", "paired", "qmc", "grid", "tpe"])
def test_a_list_of_lists_is_a_choice_of_lists(sampler: str, tmp_path: Path) -> None:
    text = STAIRS.replace('"random"', f'"{sampler}"').replace("trials = 2", "trials = 8")
    log = ran(tmp_path, text)
    before = log.read_bytes()
    ran(tmp_path, text)
    assert log.read_bytes() == before
    asked = [row for row in rows_of(log, "asked") if row["cell"][:2] == ["stairs", "search"]]
    found = {json.dumps(row["params"]["staircase.milestones"]) for row in asked}
    assert found == {"[0.5]", "[0.5, 0.75]"}
    for row in asked:
        assert row["trial"]["recipe"][0]["milestones"] == row["params"]["staircase.milestones"]
    assert {row["outcome"]["status"] for row in rows_of(log, "ended")} == {"ok"}


def test_a_list_is_one_value_and_an_empty_choice_none(tmp_path: Path) -> None:
    one = read_sweep(tmp_path, STAIRS.replace("[[0.5], [0.5, 0.75]]", "[0.5, 0.75]")).arm("stairs")
    assert "staircase.milestones" not in one.space and one.template.recipe[0]["milestones"] == [0.5, 0.75]
    for wrong, path in (("[[0.5], 0.75]", r"milestones\[1\]"), ("[[2.0]]", r"milestones\[0\]\[0\]"),
                        ("[[0.5, [0.75]]]", r"milestones\[0\]\[1\]")):  # fmt: skip
        with pytest.raises(Refused, match=rf"arms\.stairs\.staircase\.{path}: expected "):
            read_sweep(tmp_path, STAIRS.replace("[[0.5], [0.5, 0.75]]", wrong))


def test_another_list_is_another_sweep(tmp_path: Path) -> None:
    before, after = (
        Sweep.plain(read_sweep(tmp_path, STAIRS.replace("[[0.5], [0.5, 0.75]]", text)))
        for text in ("[[0.5], [0.5, 0.75]]", "[[0.5], [0.5, 0.8]]")
    )
    with pytest.raises(Refused, match=r"milestones: \[\[0\.5\], \[0\.5, 0\.75\]\] -> \[\[0\.5\], \[0\.5, 0\.8\]\]"):
        changed(before, after)
