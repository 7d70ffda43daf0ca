"""A command reads each log once and makes each number once, whatever it shows: on a large log these are seconds."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regtune.analysis.budget import budget, budget_by_phase
from regtune.analysis.repeat_scores import repeat_scores
from regtune.analysis.verdicts import against_baseline, verdicts
from regtune.reports.brief import brief_of
from regtune.reports.output import write_folder
from regtune.reports.tables.folder import read_folder
from regtune.results.loader import load
from tests.command_line import called
from tests.made_up import made_up_log

ARMS = {"base": (0.7, 0.71, 0.72), "good": (0.8, 0.82, 0.81)}
COUNTED: tuple[Callable[..., Any], ...] = (load, verdicts, against_baseline, budget, budget_by_phase, repeat_scores)
REPEATS = 3


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of `COUNTED`, by name, in whichever module they are made."""
    counts = Counter[str]()

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            counts[function.__name__] += 1
            return function(*args, **kwargs)

        return counted

    for function in COUNTED:
        counted = counting(function)
        for name, module in list(sys.modules.items()):
            if name.startswith("regtune.") and vars(module).get(function.__name__) is function:
                monkeypatch.setattr(module, function.__name__, counted)
    return counts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a sweep with repeats."""
    for repeat in range(1, REPEATS + 1):
        below = f"repeat-{repeat}" if repeat > 1 else ""
        made_up_log(tmp_path / "many" / below, ARMS, repeat=repeat, name="many")
    return tmp_path / "many"


@pytest.mark.parametrize("form", ["md", "json", "latex", "html"])
def test_a_format_reads_each_log_once_and_makes_each_number_once(calls: Counter[str], folder: Path, form: str) -> None:
    assert called("table", folder, "--format", form, folder=folder).returncode == 0
    each = dict.fromkeys(("load", "verdicts", "against_baseline", "budget", "budget_by_phase"), REPEATS)
    assert calls == each | {"repeat_scores": 1}


def test_what_fits_the_terminal_makes_only_what_it_shows(calls: Counter[str], folder: Path) -> None:
    assert called("table", folder, folder=folder).returncode == 0
    assert calls == {"load": REPEATS, "budget_by_phase": REPEATS, "repeat_scores": 1}


def test_several_sweeps_together_count_the_verdicts_that_their_tables_show(calls: Counter[str], tmp_path: Path) -> None:
    folders = [made_up_log(tmp_path / name, ARMS, name=name) for name in ("one", "two")]
    assert called("table", *folders, folder=tmp_path).returncode == 0
    each = dict.fromkeys(("load", "verdicts", "against_baseline", "budget", "budget_by_phase", "repeat_scores"), 2)
    assert calls == each


def test_figures_of_a_report_show_the_rows_of_its_tables(calls: Counter[str], tmp_path: Path) -> None:
    assert called("report", made_up_log(tmp_path / "one", ARMS), folder=tmp_path).returncode == 0
    names = ("load", "verdicts", "against_baseline", "budget", "budget_by_phase", "repeat_scores")
    assert calls == dict.fromkeys(names, 1)


@pytest.mark.parametrize("repeated", [True, False])
def test_a_run_ends_with_each_log_read_once(calls: Counter[str], folder: Path, tmp_path: Path, repeated: bool) -> None:
    """It writes the tables of every log, those over them, and prints the answer."""
    shown = folder if repeated else made_up_log(tmp_path / "one", ARMS)
    tables = read_folder(shown)
    assert len(write_folder(tables).files) == (3 if repeated else 2)
    assert "good" in brief_of([tables], [shown], 80)
    logs = REPEATS if repeated else 1
    each = dict.fromkeys(("load", "verdicts", "against_baseline", "budget", "budget_by_phase"), logs)
    assert calls == each | {"repeat_scores": 1}
