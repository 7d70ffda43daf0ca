"""What failed is tried again on request, by mended code where it was mended; all else stays what it is."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from regtune.__main__ import app
from regtune.analysis.failures import failed_whole
from regtune.cli.dry_run import forecast
from regtune.cli.progress import Progress
from regtune.core.errors import Refused
from regtune.core.records import Json, TrialKey
from regtune.execution.retry import RETRY, Retry, ask_again
from regtune.execution.run import RunOptions
from regtune.results.loader import load
from regtune.storage.checkpoints import Checkpoints, Saved
from regtune.storage.compatibility import Changed, changed
from regtune.storage.log import Log, read_log
from tests.conftest import write_log
from tests.resuming import SMALL, Stopped, by_key, ran, read, rows_of, table_of_epochs, table_of_trials, trained_epochs

# Fails above a share, until a file lies in its folder: an outside cause. `GAIN` is what a mended version changes.
METHOD = '''
from dataclasses import dataclass
from pathlib import Path
from optuna.distributions import FloatDistribution
from regtune.regularizers import Regularizer
from regtune.core.knobs import knob

@dataclass(frozen=True, kw_only=True)
class Fixme(Regularizer):
    """Fails at times."""

    s: float = knob(default=0.1, legal="[0, 1]", space=FloatDistribution(0.0, 1.0), neutral=0.0, meaning="nothing")

    def augment(self, x, y, step):
        if float(self.s) > LIMIT and step.progress >= 0.5 and not Path("FOLDER/ok").exists():
            raise ValueError("boom")
        return x * GAIN, y
'''
TEXT = 'plugins = ["fix_me"]\n' + SMALL.replace("dropout = { dropout = {} }", "fixed = { fixme = {} }").replace(
    "trials = 2", "trials = 4"
)
FIXED = [TrialKey("fixed", "search", number) for number in range(4)]
Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a version of the plugin and has it imported again."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def version(limit: float = 0.5, gain: str = "1.0") -> None:
        source = METHOD.replace("LIMIT", str(limit)).replace("GAIN", gain).replace("FOLDER", str(tmp_path))
        (tmp_path / "fix_me.py").write_text(source)
        monkeypatch.delitem(sys.modules, "fix_me", raising=False)

    return version


def failed(log: Path) -> set[TrialKey]:
    return {key for key, row in by_key(load(log)).items() if row["status"] == "failed"}


def baseline(log: Path) -> pd.DataFrame:
    trials = load(log).trials
    return trials[trials["arm"] == "baseline"]


def tables_of(log: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return table_of_trials(log), table_of_epochs(log)


def test_what_failed_for_an_outside_cause_is_tried_again_and_nothing_else(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    log, said = ran(tmp_path, TEXT), list[str]()
    bad = failed(log)
    assert bad and bad < set(FIXED)
    before = log.read_bytes()
    ran(tmp_path, TEXT, say=said.append)
    assert log.read_bytes() == before
    assert said == [f"{len(bad)} trials failed in an earlier run and are not retried; --retry-failed retries them"]
    (tmp_path / "ok").touch()
    with trained_epochs(monkeypatch) as trained:
        ran(tmp_path, TEXT, say=said.append, retry_failed=True)
    assert said[-1] == f"{len(bad)} failed trials are retried"
    assert log.read_bytes().startswith(before)
    again = {row["id"] for key, row in by_key(load(log)).items() if key in bad}
    assert {id for id, _ in trained if id in again} == again
    assert {TrialKey(*key) for row in rows_of(log, "retry") for key in row["cells"]} == bad
    assert not failed(log)
    assert any(note.startswith(f"On request, {len(bad)} trial") for note in load(log).notes)
    # As if nothing had ever failed, but for what is said of it.
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    never = ran(fresh, TEXT)
    for one, other in zip(tables_of(log), tables_of(never), strict=True):
        pd.testing.assert_frame_equal(one, other)
    after = log.read_bytes()
    ran(tmp_path, TEXT, retry_failed=True)
    assert log.read_bytes() == after, "there is nothing to try again"


def test_what_fails_again_has_failed_again(write: Write, tmp_path: Path) -> None:
    write()
    log = ran(tmp_path, TEXT)
    bad, epochs = failed(log), table_of_epochs(log)
    ran(tmp_path, TEXT, retry_failed=True)
    assert failed(log) == bad
    pd.testing.assert_frame_equal(table_of_epochs(log), epochs)
    assert len(load(log).superseded) == 2 * len(bad), "what the first attempts took is still counted"


@pytest.mark.parametrize("rows_left", ["retry", "started", "epoch"])
def test_a_driver_killed_while_it_tries_again_loses_nothing(rows_left: str, write: Write, tmp_path: Path) -> None:
    write()
    log = ran(tmp_path, TEXT)
    (tmp_path / "ok").touch()
    first = len(read_log(log)[0])
    ran(tmp_path, TEXT, retry_failed=True)
    whole, rows = tables_of(log), read_log(log)[0]
    cut = next(n for n, row in enumerate(rows) if n >= first and row["event"] == rows_left) + 1
    write_log(log, rows[:cut])
    said: list[str] = []
    assert "failed" not in set(load(log).trials["status"])
    ran(tmp_path, TEXT, say=said.append)
    assert said == [], "what is to be tried again is no failed trial any more"
    for one, other in zip(tables_of(log), whole, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_where_a_plugin_was_mended_its_arms_are_trained_again_and_others_stay(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    log, said = ran(tmp_path, TEXT), list[str]()
    old = baseline(log)
    write(limit=9.0, gain="0.5")
    with pytest.raises(Refused, match=r"differs in plugins\.fix_me: .*; or retrain the arms"):
        ran(tmp_path, TEXT)
    with trained_epochs(monkeypatch) as trained:
        ran(tmp_path, TEXT, retry_failed=True, say=said.append)
    assert said == ["plugin fix_me has changed: fixed retrained with the new code, other arms stay"]
    (asked,) = rows_of(log, "retry")
    assert asked["mended"] == {"fix_me": ["fixed"]}
    assert {TrialKey(*key) for key in asked["cells"]} == {
        *FIXED,
        *(TrialKey("fixed", "confirm", n) for n in range(2)),
    }
    trials = by_key(load(log))
    pd.testing.assert_frame_equal(baseline(log), old)
    assert {id for id, _ in trained} == {row["id"] for key, row in trials.items() if key.arm == "fixed"}
    assert {row["status"] for row in trials.values()} == {"ok"}
    assert "since these changed: fix_me" in " ".join(load(log).notes)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    for one, other in zip(tables_of(log), tables_of(ran(fresh, TEXT)), strict=True):
        pd.testing.assert_frame_equal(one, other)
    before = log.read_bytes()
    ran(tmp_path, TEXT)
    assert log.read_bytes() == before, "the new code is the sweep's by now"


def test_an_interrupted_trial_of_mended_code_begins_again(write: Write, tmp_path: Path) -> None:
    """Its checkpoint is one of the old code."""
    write(limit=9.0)

    def stop(event: str, row: Json) -> None:
        if event == "epoch" and row["cell"] == list(FIXED[1]) and row["epoch"]["number"] == 3:
            raise Stopped

    with pytest.raises(Stopped):
        ran(tmp_path, TEXT, watch=stop)
    log = tmp_path / "small" / "log.jsonl"
    assert list((log.parent / "checkpoints").iterdir())
    write(limit=9.0, gain="0.5")
    ran(tmp_path, TEXT, retry_failed=True)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    pd.testing.assert_frame_equal(table_of_epochs(log), table_of_epochs(ran(fresh, TEXT)))
    assert not failed(log)


def test_a_network_of_a_mended_plugin_is_in_every_arm(write: Write, tmp_path: Path) -> None:
    text = 'plugins = ["fix_me"]\n' + SMALL.replace('"mlp"\nwidths = [12]', '"tiny_net"')
    net = (
        "from dataclasses import dataclass\nfrom regtune.networks.mlp import MLP\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass TinyNet(MLP):\n    '''A network.'''\n"
    )
    write()
    (tmp_path / "fix_me.py").write_text(net)
    log = ran(tmp_path, text)
    (tmp_path / "fix_me.py").write_text(net + "# mended\n")
    said: list[str] = []
    ran(tmp_path, text, retry_failed=True, say=said.append)
    assert said == ["plugin fix_me has changed: baseline, dropout retrained with the new code, other arms stay"]
    assert len(rows_of(log, "retry")[0]["cells"]) == len(by_key(load(log)))


def test_a_dry_run_says_what_would_be_tried_again(write: Write, tmp_path: Path) -> None:
    write()
    log = ran(tmp_path, TEXT)
    bad, before = failed(log), log.read_bytes()

    def printed(*, retry_failed: bool = False) -> str:
        console = Console(file=io.StringIO(), width=200)
        console.print(forecast(read(tmp_path, TEXT), tmp_path, RunOptions(retry_failed=retry_failed)))
        return str(console.file.getvalue())  # type: ignore[attr-defined]  # a StringIO

    assert f"{len(bad)} failed trials are retried" in printed(retry_failed=True)
    assert "resumes; the log has 0 of its epochs" in printed(retry_failed=True)
    assert "retried" not in printed()
    assert log.read_bytes() == before


def test_the_display_counts_a_retried_trial_once(write: Write, tmp_path: Path) -> None:
    write()
    ran(tmp_path, TEXT)
    (tmp_path / "ok").touch()
    live, replayed = (Progress(read(tmp_path, TEXT)) for _ in range(2))
    ran(tmp_path, TEXT, retry_failed=True, watch=live.watch)
    ran(tmp_path, TEXT, watch=replayed.watch)
    assert live.tallies == replayed.tallies
    assert live.tallies["search", "fixed"].ended == {"ok": 4}


def test_only_plugins_that_were_mended_may_differ() -> None:
    before = {"plugins": {"a": "1", "b": "1"}, "arms": {"x": {"trials": 1, "space": {}}}, "confirm": {}}
    after = {**before, "plugins": {"a": "2", "b": "2"}}
    assert changed(before, after, mended=["a", "b"]) == Changed([], [])
    with pytest.raises(Refused, match=r"differs in plugins\.b: 1 -> 2; .*--retry-failed"):
        changed(before, after, mended=["a"])
    with pytest.raises(Refused) as caught:
        changed(before, {**after, "seed": 3})
    assert "--retry-failed" not in str(caught.value)


def test_a_sweep_of_which_an_arm_failed_whole_ends_with_exit_code_1(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(limit=-1.0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(TEXT)
    done = CliRunner().invoke(app, ["run", "small.toml", "--in-process"])
    assert done.exit_code == 1
    said = "regtune: arms whose trials all failed: fixed; results/small/table.md has the messages, regtune trial"
    assert said in done.stderr
    assert failed_whole(load(tmp_path / "results" / "small")) == ["fixed"]
    assert "have not ended" not in done.stdout and "time left 0:00" in done.stdout
    counted = "4 of 12 planned trials failed, diverged or were lost. 2 more of fixed are not trained, since no search "
    assert f"{counted}trial ended well." in " ".join(done.stdout.split())
    (tmp_path / "ok").touch()
    done = CliRunner().invoke(app, ["run", "small.toml", "--in-process", "--retry-failed"])
    assert done.exit_code == 0, done.output
    assert "4 failed trials are retried" in done.output


def test_an_arm_of_which_some_trials_failed_has_not_failed_whole(write: Write, tmp_path: Path) -> None:
    write()
    assert failed_whole(load(ran(tmp_path, TEXT))) == []


def test_weights_of_the_old_code_are_dropped_whatever_is_kept_now(tmp_path: Path) -> None:
    """Their id is that of the mended code's: export would take them for its."""
    key, other = TrialKey("limited", "confirm", 0), TrialKey("baseline", "confirm", 0)
    weights = Checkpoints(tmp_path / "weights")
    for each in (key, other):
        weights.save(each, Saved(id="x", epoch=4, content=b"old"))
    with Log(tmp_path / "log.jsonl") as log:
        ask_again(log, Retry(keys=(key,), mended={}), lambda text: None)
        assert RETRY in [row["event"] for row in log.rows]
    assert weights.load(key) is None and weights.load(other) is not None
