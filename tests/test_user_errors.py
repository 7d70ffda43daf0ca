"""What a user's own code raises ends its trial at once, with the place, and can be seen again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from regtune.analysis.failures import failed_lines
from regtune.core.errors import Refused
from regtune.core.own_code import frames_of, is_own, place_of
from regtune.core.records import Json, Outcome, TrialKey
from regtune.core.signals import Interrupted, sigint_marked
from regtune.execution.alone import attempt
from regtune.execution.attempt import ReportPlan
from regtune.execution.preflight import preflight
from regtune.execution.rehearsal import rehearse
from regtune.reports.formats import markdown
from regtune.reports.tables.catalog import tables
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.training.build import load_data
from tests.conftest import small_trial
from tests.resuming import SMALL, by_key, ran, read, rows_of

PACE = ReportPlan(rungs=(), checkpoint_seconds=60, trial_seconds=None, weights=False)
RAISES = '''
from dataclasses import dataclass
from regtune.regularizers import Regularizer

class Odd(BaseException):
    """No Exception."""

def deep(hook):
    RAISE

@dataclass(frozen=True, kw_only=True)
class Raises(Regularizer):
    """Raises in a hook."""

    def HOOK:
        deep("x")
'''
HOOKS = {
    "augment": "augment(self, x, y, step)",
    "prepare": "prepare(self, net, data)",
    "penalty": "penalty(self, step)",
    "stop": "stop(self, epochs)",
}
ARMS = "raises = { raises = {} }"


@pytest.fixture
def raising(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that writes a plugin which raises in a hook and returns the text of a sweep with it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(statement: str, hook: str = "augment") -> str:
        (tmp_path / "raising_method.py").write_text(RAISES.replace("RAISE", statement).replace("HOOK", HOOKS[hook]))
        monkeypatch.delitem(sys.modules, "raising_method", raising=False)
        return 'plugins = ["raising_method"]\n' + SMALL.replace("dropout = { dropout = {} }", ARMS)

    return write


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ('raise ValueError("boom\\nand more")', "ValueError: boom and more"),
        ('raise KeyboardInterrupt("no")', "KeyboardInterrupt: no"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise StopIteration", "StopIteration"),
        ('raise Odd("odd")', "Odd: odd"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_whatever_a_hook_raises_ends_the_trial_as_failed_with_its_place(
    statement: str, said: str, raising: Callable[..., str], tmp_path: Path
) -> None:
    log = ran(tmp_path, raising(statement))
    trials = by_key(load(log))
    mine = [trials[TrialKey("raises", "search", number)] for number in range(2)]
    assert {(row["status"], row["message"], row["faults"]) for row in mine} == {
        ("failed", f"{said} (raising_method.py:9)", 0)
    }
    assert trials[TrialKey("baseline", "confirm", 1)]["status"] == "ok"
    assert rows_of(log, "fault") == []
    (outcome, _) = (row["outcome"] for row in rows_of(log, "ended") if row["cell"][:2] == ["raises", "search"])
    code = statement.partition("\\n")[0]
    first, second = outcome["traceback"].split("\n")
    assert first == 'raising_method.py:16, in augment: deep("x")'
    assert second.startswith(f"raising_method.py:9, in deep: {code}")
    assert not any("traceback" in row["outcome"] for row in rows_of(log, "ended") if row["cell"][0] == "baseline")


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_hook_s_place_is_told(hook: str, raising: Callable[..., str], tmp_path: Path) -> None:
    log = ran(tmp_path, raising("raise KeyError(hook)", hook))
    assert by_key(load(log))[TrialKey("raises", "search", 0)]["message"] == "KeyError: 'x' (raising_method.py:9)"


def test_equal_messages_of_an_arm_are_one_line(raising: Callable[..., str], tmp_path: Path) -> None:
    text = raising('raise ValueError("boom")').replace("trials = 2", "trials = 5")
    results = load(ran(tmp_path, text + "\n[base]\n"))
    line = "raises/search/0 and 4 more failed: ValueError: boom (raising_method.py:9)"
    assert failed_lines(results) == [line]
    found = markdown(tables(results))
    assert f"5 trials did not end well:\n\n- {line}\n" in found
    assert found.count("boom") == 1


def test_a_failed_row_is_run_again_and_shows_the_whole_traceback(raising: Callable[..., str], tmp_path: Path) -> None:
    log = ran(tmp_path, raising('raise ValueError("boom")'))
    words = [sys.executable, "-m", "regtune", "trial", str(log.parent), "--row", "raises/search/1"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "it failed: ValueError: boom (raising_method.py:9)" in done.stdout
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert f'File "{tmp_path}/raising_method.py", line 16, in augment' in done.stderr
    assert done.stderr.endswith("ValueError: boom\n")
    source = (tmp_path / "raising_method.py").read_text()
    (tmp_path / "raising_method.py").write_text(source.replace("raise ValueError", "print"))
    # Mended as far as raising goes: it returns nothing, which is another error of the user's.
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 1
    assert "boom\n" in again.stdout
    assert "raises.augment: expected (x [N, C, H, W]" in again.stderr


def test_a_signal_ends_the_run_and_not_the_trial(tmp_path: Path) -> None:
    """Ctrl-C comes while code of the user runs, which is where most of the time goes."""

    def watch(event: str, row: Json) -> None:
        if event == "epoch":
            os.kill(os.getpid(), signal.SIGINT)

    # A process that runs tests beside others may ignore Ctrl-C.
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            ran(tmp_path, watch=watch)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, found)
    rows = read_log(tmp_path / "small" / "log.jsonl")[0]
    assert not [row for row in rows if row["event"] in ("ended", "fault")]


def test_an_interruption_inside_the_user_s_code_is_told_from_one_that_it_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial = small_trial()

    def told(error: BaseException) -> Outcome | None:
        def raising(data: object) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr("regtune.execution.alone.Training.__next__", raising)
            return [*attempt(trial, load_data(trial), PACE)][-1].outcome

    with pytest.raises(Interrupted):
        told(Interrupted())
    failed = told(KeyboardInterrupt())
    assert failed is not None
    assert failed.message.startswith("KeyboardInterrupt")
    with pytest.raises(MemoryError):
        told(MemoryError())


def test_ctrl_c_is_marked_and_a_handler_of_the_user_s_is_left_in_its_place() -> None:
    came: list[int] = []

    def own(number: int, frame: object) -> None:
        came.append(number)

    before = signal.signal(signal.SIGINT, own)
    try:
        with sigint_marked():
            os.kill(os.getpid(), signal.SIGINT)
        assert came == [signal.SIGINT]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(Interrupted), sigint_marked():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    marked: list[object] = []

    def elsewhere() -> None:
        with sigint_marked():
            marked.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert marked == [before], "in another thread there is nothing to mark"


def test_own_is_what_is_neither_installed_nor_python_s_nor_regtune_s() -> None:
    import json
    import typing

    import torch

    from regtune.core import registry

    assert is_own(__file__)
    assert is_own("/home/me/plugins/mine.py")
    others = (json.__file__, typing.__file__, torch.__file__, registry.__file__, "<string>", "<frozen importlib>")
    assert not any(map(is_own, others))
    assert not is_own("/opt/env/lib/python3.11/site-packages/theirs/module.py")
    assert not is_own("/usr/lib/python3/dist-packages/theirs.py")


def test_a_place_is_the_user_s_frame_and_not_the_library_s_below_it(tmp_path: Path) -> None:
    """Also where the error came from another one, and none where no frame is the user's."""
    import json

    def caught(action: Callable[[], object]) -> BaseException:
        try:
            action()
        except BaseException as error:
            return error
        raise RuntimeError("nothing was raised")

    deep = caught(lambda: json.loads("{"))
    line = test_a_place_is_the_user_s_frame_and_not_the_library_s_below_it.__code__.co_firstlineno
    assert place_of(deep).startswith("tests/test_user_errors.py:")
    assert line < int(place_of(deep).rpartition(":")[2]) < line + 20
    assert frames_of(deep).splitlines()[-1].startswith("json/decoder.py:")

    outside = ValueError("from elsewhere")
    outside.__cause__ = deep
    assert place_of(outside) == place_of(deep)
    outside.__cause__, outside.__context__ = None, outside
    assert place_of(outside) == ""
    assert frames_of(outside) == ""


EARLY = """
from dataclasses import dataclass
from regtune.data import Dataset
from regtune.networks import Network
from regtune.regularizers import Regularizer

class Odd(BaseException):
    pass

def deep(where):
    if where == "HOOK":
        RAISE

@dataclass(frozen=True, kw_only=True)
class EarlyMethod(Regularizer):
    def __post_init__(self):
        deep("init")
    def check(self, net, data):
        deep("check")
    def augment(self, x, y, step):
        deep("augment")
        return x, y

@dataclass(frozen=True, kw_only=True)
class EarlyNetwork(Network):
    def __post_init__(self):
        deep("network")
    def build(self, *, shape, classes):
        deep("build")

@dataclass(frozen=True, kw_only=True)
class EarlyData(Dataset):
    def pool(self, place):
        deep("pool")
"""
PLACES = {
    "init": ("", "arms.ours.early_method: "),
    "check": ("", "arms.ours.early_method: "),
    "augment": ("", "arms.ours: one step on 16 examples: "),
    "network": ("network", "network.early_network: "),
    "build": ("network", "network early_network: "),
    "pool": ("data", "data early_data: "),
}


@pytest.mark.parametrize("hook", PLACES)
@pytest.mark.parametrize("statement", ["1 / 0", "raise KeyboardInterrupt", "raise SystemExit(4)", "raise Odd('x')"])
def test_what_is_raised_before_a_trial_is_one_line_with_its_place(
    hook: str, statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "early_things", raising=False)
    (tmp_path / "early_things.py").write_text(EARLY.replace("HOOK", hook).replace("RAISE", statement))
    table, where = PLACES[hook]
    text = SMALL.replace("dropout = { dropout = {} }", "" if table else "ours = { early_method = {} }")
    if table:
        text = re.sub(rf"\[{table}\]\n.*?(?=\n\[)", f"[{table}]\nname = 'early_{table}'", text, flags=re.DOTALL)
    said = refused_of(text, tmp_path)
    assert said.partition(where)[0] in ("", f"{tmp_path / 'small.toml'}: ")
    assert where in said
    assert said.endswith("(early_things.py:12)")
    assert "\n" not in said


def refused_of(text: str, folder: Path) -> str:
    """Return what is said of a sweep before its trials begin."""
    with pytest.raises(Refused) as caught:
        sweep = read(folder, 'plugins = ["early_things"]\n' + text)
        rehearse(sweep, preflight(sweep).splits)
    return str(caught.value)
