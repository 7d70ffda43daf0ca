"""A pruner of a user: named with its own settings, at work, in logs and tables that know it without the plugin."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from regtune.analysis.pruning import rung_correlations
from regtune.cli.catalog import cards
from regtune.cli.plan import plan_table
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.execution.reuse import _rule
from regtune.execution.run import run
from regtune.pruners import PRUNERS, Pruning, pruning_of
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import load
from regtune.search.search import SearchScheduler
from regtune.storage.compatibility import changed
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP

PLUGIN = "tests.plugin_pruners"
MEDIAN = f'plugins = ["{PLUGIN}"]\n' + SWEEP.replace("population = 1", 'pruner = "median_rule"\nat = 3\ncontrol = 0.3')
WORDS = "those below the median of their arm by validation accuracy stopped after 3"


def read(folder: Path, text: str = MEDIAN) -> Sweep:
    path = folder / "median.toml"
    path.write_text(text)
    return Sweep.read(path)


def test_it_is_in_the_registry_with_its_settings(tmp_path: Path) -> None:
    assert "median_rule" in PRUNERS.all([PLUGIN]) and "median_rule" not in PRUNERS.all()
    (card,) = cards(["median_rule"], [PLUGIN])
    assert "  at = 2 in [1, 1000]: the epoch at which it judges" in card
    sweep = read(tmp_path)
    assert (sweep.pruner.rungs(6), vars(sweep.pruner)) == ((3,), {"at": 3, "population": 1})
    assert vars(read(tmp_path, MEDIAN.replace("at = 3", "population = 5")).pruner) == {"at": 2, "population": 5}
    console = Console(record=True, width=200)
    console.print(plan_table(sweep))
    assert "pruning after epochs: 3" in console.export_text()


def test_its_header_says_all_that_tables_want_to_know_and_ours_say_nothing_more(tmp_path: Path) -> None:
    search = read(tmp_path).plain()["search"]
    assert (search["pruner"], search["pruning"]) == (
        "median_rule",
        {
            "settings": {"at": 3, "population": 1}, "at_rungs": True, "finishes": ["ok"], "rungs": [3],
            "most_epochs": 6, "words": WORDS, "ranked": False,
        },
    )  # fmt: skip
    assert "at" not in search
    ours = read(tmp_path, SWEEP).plain()["search"]
    assert list(ours) == [
        "trials", "trials_per_knob", "sampler", "levels", "pruner", "stop_after", "grace", "factor", "population",
    ]  # fmt: skip
    assert Pruning.from_plain(json.loads(json.dumps(search["pruning"]))) == pruning_of(read(tmp_path).recorded)


def test_other_settings_of_it_are_another_sweep_and_another_rule(tmp_path: Path) -> None:
    one, other = (read(tmp_path, text).plain() for text in (MEDIAN, MEDIAN.replace("at = 3", "at = 4")))
    with pytest.raises(Refused, match=r"search\.pruning\.\w+"):
        changed(one, other)
    assert _rule(one["search"]) != _rule(other["search"]), "trials that it ended are not reused"


def test_it_ends_trials_and_the_log_without_the_plugin_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = read(tmp_path)
    log = run(sweep, tmp_path, in_process=True)
    results = load(log)
    searched = results.trials[results.trials["phase"] == "search"]
    pruned = searched[searched["status"] == "pruned"]
    assert 0 < len(pruned) < len(searched) and set(pruned["epochs"]) == {3}
    assert set(pruned["message"]) == {"after epoch 3 it was below the median of its own arm"}
    assert searched["spared"].notna().any(), "the control share is of every pruner that judges at rungs"
    said = markdown(tables(results))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setitem(sys.modules, PLUGIN, None)  # which makes an import of it fail
    again = load(log)
    assert markdown(tables(again)) == said
    assert f"{WORDS}. A control share of 30 % of the trials is never pruned." in said
    assert set(rung_correlations(again)["rung"]) == {3}


def test_a_scheduler_rebuilt_from_the_log_agrees(tmp_path: Path) -> None:
    sweep = read(tmp_path)
    rows = read_log(run(sweep, tmp_path, in_process=True))[0]
    before = [row for row in rows if row["event"] == "ended" and row["cell"][1] == "search"]
    run(sweep, tmp_path, in_process=True)
    assert read_log(tmp_path / "median" / "log.jsonl")[0] == rows, "a finished sweep adds nothing"
    cut = next(n for n, row in enumerate(rows) if row in before and row["outcome"]["status"] == "pruned")
    (tmp_path / "median" / "log.jsonl").write_bytes(
        b"".join((tmp_path / "median" / "log.jsonl").read_bytes().splitlines(keepends=True)[:cut])
    )
    run(sweep, tmp_path, in_process=True)
    after = read_log(tmp_path / "median" / "log.jsonl")[0]

    def ends(rows: list[Json]) -> dict[str, str]:
        found = [row for row in rows if row["event"] == "ended"]
        return {str(row["cell"]): row["outcome"]["status"] for row in found}

    assert ends(after) == ends(rows)
    assert SearchScheduler(sweep).why == "it was below the median of its own arm"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"median_rule"',
            '"median_rul"',
            r"search\.pruner: unknown pruner 'median_rul' \(did you mean 'median_rule'\?\)",
        ),
        ("at = 3", "att = 3", r"search\.att: unknown setting \(did you mean 'at'\?\)"),
        ("at = 3", "at = 0", r"search\.at: expected a whole number in \[1, 1000\], given 0"),
        (
            "at = 3",
            "at = 7",
            r"search\.pruner median_rule: expected rungs, a tuple of epochs from 1 to 6, given \(7,\)",
        ),
        (
            "median_rule",
            "nowhere",
            r"search\.pruner nowhere: expected rungs, a tuple of epochs from 1 to 6, given \(0,",
        ),
        ("at = 3", "stop_after = 3", r'search\.stop_after: expected with pruner = "epochs" and only there, given 3'),
        ("trials = 4", "trails = 4", r"search\.trails: unknown setting \(did you mean 'trials'\?\)"),
        (f'"{PLUGIN}"', "", r"search\.pruner: unknown pruner 'median_rule'"),
        ('"median_rule"', '"asha"', r"search\.at: unknown setting"),
        (
            "control = 0.3",
            'control = 0.3\npopulation = "x"',
            r"search\.population: expected a valid integer, given ",
        ),
    ],
)
def test_what_is_wrong_with_it_is_said_in_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in MEDIAN
    with pytest.raises(Refused, match=said) as caught:
        read(tmp_path, MEDIAN.replace(old, new))
    assert len(str(caught.value).splitlines()) == 1
