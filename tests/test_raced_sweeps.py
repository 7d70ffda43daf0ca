"""A sweep that races: from the scheduler to the table, interrupted anywhere, extended, and planned."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from regtune.analysis.comparison import comparison
from regtune.cli.dry_run import forecast
from regtune.cli.plan import plan_table
from regtune.cli.progress import Progress
from regtune.core.errors import Refused
from regtune.core.records import Outcome, TrialKey
from regtune.execution.run import RunOptions
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import load
from regtune.search.confirm import ConfirmScheduler
from regtune.search.scheduler import Suggestion
from regtune.search.search import SearchScheduler
from regtune.search.select import SelectScheduler
from regtune.storage.log import read_log
from tests.conftest import write_log
from tests.resuming import SMALL, Stopped, assert_same_results, by_key, ran, read, rows_of

RACING = SMALL.replace("seeds = 2", "seeds = 8\nracing = true\nfirst = 4")


def printed(what: object) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(what)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def searched(folder: Path, text: str = RACING) -> ConfirmScheduler:
    sweep = read(folder, text)
    search = SearchScheduler(sweep)
    for asked in iter(search.ask, None):
        assert asked is not None
        search.end(asked.key, Outcome(status="ok", kept=1, metrics={"val_accuracy": 0.5, "val_loss": 1.0}))
    return ConfirmScheduler(sweep, SelectScheduler(sweep, search), lambda ended: None)


def play(scheduler: ConfirmScheduler, gap: float) -> list[Suggestion]:
    """Hand out and end trials until there are no more; dropout is better by a gap and something that varies."""
    given = []
    for asked in iter(scheduler.ask, None):
        assert asked is not None
        noise = 0.01 * (asked.key.number % 3) if asked.key.arm == "dropout" else 0.0
        score = 0.5 + noise + (gap if asked.key.arm == "dropout" else 0.01)
        scheduler.end(asked.key, Outcome(status="ok", kept=1, metrics={"test_accuracy": score}))
        given.append(asked)
    return given


def test_the_scheduler_plans_more_seeds_only_where_a_pair_is_not_resolved(tmp_path: Path) -> None:
    clear, close = searched(tmp_path), searched(tmp_path)
    assert len(clear.planned) == 8
    assert [a.key for a in play(clear, 0.4)] == list(clear.planned)
    assert len(clear.planned) == 8
    assert [a.key for a in play(close, 0.0)] == [TrialKey(a, "confirm", n) for n in range(8) for a in close.chosen]


def test_a_rebuilt_scheduler_knows_what_was_handed_out(tmp_path: Path) -> None:
    """As after a lost trial that is tried again: later looks are in the log, and an earlier one is open."""
    live, rebuilt = searched(tmp_path), searched(tmp_path)
    for asked in play(live, 0.0):
        rebuilt.asked_before(asked)
        assert rebuilt.has(asked.key)
    assert set(rebuilt.planned) == set(live.planned)
    assert rebuilt.ask() is None
    assert not rebuilt.has(TrialKey("dropout", "confirm", 8))
    assert not rebuilt.has(TrialKey("nobody", "confirm", 0))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("raced"), RACING)


def test_the_table_says_that_it_raced_and_what_was_not_needed(finished: Path, tmp_path: Path) -> None:
    text = markdown(tables(load(finished)))
    assert "Means after racing are biased away from the baseline" in text
    assert "after 4, 6, 8 seeds" in text
    assert not load(finished).trials["status"].isin(["missing"]).any()
    rows = read_log(finished)[0]
    first = [r for r in rows if "cell" not in r or r["cell"][1] == "search" or r["cell"][2] < 4]
    for row in first:  # as if dropout had been far better on these seeds
        if row["event"] == "ended" and row["cell"][1] == "confirm":
            number = row["cell"][2]
            row["outcome"]["metrics"]["test_accuracy"] = 0.5 + (0.3 + 0.001 * number) * (row["cell"][0] == "dropout")
    log = tmp_path / "small" / "log.jsonl"
    write_log(log, first)
    results = load(log)
    confirm = {key: row["status"] for key, row in by_key(results).items() if key.phase == "confirm"}
    assert {status for key, status in confirm.items() if key.number >= 4} == {"unneeded"}
    table = comparison(results).set_index("arm")
    assert table.loc["dropout", "verdict"] == "better"
    assert table.loc["dropout", "confirm_missing"] == 0
    write_log(log, first[: max(place for place, row in enumerate(first) if row["event"] == "ended")])
    assert (load(log).trials["status"] == "missing").sum() == 8, "the race is not over"


@pytest.mark.parametrize(
    ("arm", "number"),
    [
        ("baseline", 0),
        pytest.param("dropout", 3, marks=pytest.mark.slow),
        pytest.param("baseline", 4, marks=pytest.mark.slow),
        pytest.param("dropout", 7, marks=pytest.mark.slow),
    ],
)
def test_a_race_that_is_interrupted_goes_on_as_it_would_have(
    finished: Path, tmp_path: Path, arm: str, number: int
) -> None:
    keys = {tuple(row["cell"]) for row in rows_of(finished, "asked")}
    if (arm, "confirm", number) not in keys:
        pytest.skip("the race was over before this trial")

    def watch(event: str, row: dict[str, object]) -> None:
        if event == "epoch" and row["cell"] == [arm, "confirm", number]:
            raise Stopped

    with pytest.raises(Stopped):
        ran(tmp_path, RACING, watch=watch)
    assert_same_results(ran(tmp_path, RACING), finished)


def test_what_a_race_may_take_is_said_before(tmp_path: Path) -> None:
    sweep = read(tmp_path, RACING)
    assert "from 4 seeds per arm" in printed(plan_table(sweep))
    assert "up to 8 seeds per arm" in printed(forecast(sweep, tmp_path / "results", RunOptions()))
    assert Progress(sweep).line() == "search 0/4, confirm 0/at most 16, failed 0, time left at most …"
    assert "0/at most 8" in printed(Progress(sweep))


def test_the_terms_of_a_race_are_fixed(finished: Path, tmp_path: Path) -> None:
    for old, new in (("seeds = 8", "seeds = 12"), ("first = 4", "first = 5"), ("racing = true", "racing = false")):
        (tmp_path / "small").mkdir(exist_ok=True)
        (tmp_path / "small" / "log.jsonl").write_bytes(finished.read_bytes())
        with pytest.raises(Refused, match="confirm"):
            ran(tmp_path, RACING.replace(old, new))
    with pytest.raises(Refused, match=r"confirm\.seeds: expected at least confirm\.first, 4, with racing, given 3"):
        read(tmp_path, RACING.replace("seeds = 8", "seeds = 3"))
