"""Damaged sweep files and logs: an error of one line or a recovery, never a traceback, never a changed finished row.

200 of each by default; `REGTUNE_DAMAGE=10000 pytest tests/test_damage.py -s` for more, and what became of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regtune.cli.dry_run import forecast
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.execution.controller import PhaseController
from regtune.execution.run import RunOptions, run
from regtune.results.loader import load
from regtune.search.confirm import ConfirmScheduler
from regtune.search.search import SearchScheduler
from regtune.search.select import SelectScheduler
from regtune.storage.log import Log, read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import ASHA, SWEEP

EXAMPLES = int(os.environ.get("REGTUNE_DAMAGE", "200"))
CPU_SECONDS = 10.0  # for one file; CPU time, so that a busy machine is no fault
QUIET = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))

Damage = Callable[[bytes], bytes]
Kind = tuple[Any, ...]  # one of the functions below and what it takes: hypothesis prints those
PLACE = st.floats(0, 1, exclude_max=True)
SPAN = st.sampled_from([1, 2, 3, 17, 200]) | st.integers(1, 2000)
NOISE = st.binary(min_size=1, max_size=20) | st.sampled_from(
    [b"\0" * 4096, b"\n", b"\r\n", b"{", b"}", b'"', b"\xef\xbb\xbf"]
)


def at(place: float, length: int) -> int:
    return int(place * (length + 1))


def flip(place: float, bit: int) -> Damage:
    def damage(text: bytes) -> bytes:
        here = min(at(place, len(text)), len(text) - 1)
        return text[:here] + bytes([text[here] ^ (1 << bit)]) + text[here + 1 :] if text else text

    return damage


def insert(place: float, noise: bytes) -> Damage:
    return lambda text: text[: at(place, len(text))] + noise + text[at(place, len(text)) :]


def remove(place: float, span: int) -> Damage:
    return lambda text: text[: at(place, len(text))] + text[at(place, len(text)) + span :]


def double(place: float, span: int, to: float) -> Damage:
    """Copy a stretch to another place."""
    return lambda text: insert(to, text[at(place, len(text)) : at(place, len(text)) + span])(text)


def truncate(place: float) -> Damage:
    return lambda text: text[: at(place, len(text))]


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Damage:
    return lambda text: b"".join(change(text.splitlines(keepends=True)))


def remove_line(place: float) -> Damage:
    return lines(lambda all_: all_[: at(place, len(all_))] + all_[at(place, len(all_)) + 1 :])


def double_line(place: float, to: float) -> Damage:
    """Copy a line behind itself (`to` of 0), or to another place."""

    def change(all_: list[bytes]) -> list[bytes]:
        here = at(place, len(all_))
        there = at(to, len(all_)) if to else here
        return all_[:there] + all_[here : here + 1] + all_[there:]

    return lines(change)


def swap_lines(place: float, other: float) -> Damage:
    def change(all_: list[bytes]) -> list[bytes]:
        if all_:
            here, there = (min(at(p, len(all_)), len(all_) - 1) for p in (place, other))
            all_[here], all_[there] = all_[there], all_[here]
        return all_

    return lines(change)


def cut_line(place: float, by: int) -> Damage:
    """Take the end off a line, with or without its line break."""

    def change(all_: list[bytes]) -> list[bytes]:
        here = at(place, len(all_))
        return [*all_[:here], *(line[:-by] for line in all_[here : here + 1]), *all_[here + 1 :]]

    return lines(change)


def double_end(place: float, by: int) -> Damage:
    """Write the end of a line twice, on a line of its own the second time."""

    def change(all_: list[bytes]) -> list[bytes]:
        here = at(place, len(all_))
        return [*all_[: here + 1], *(line[-by:] for line in all_[here : here + 1]), *all_[here + 1 :]]

    return lines(change)


END = len(b',"crc":"01234567"}\n')
BYTES = st.one_of(
    st.tuples(st.just(flip), PLACE, st.integers(0, 7)),
    st.tuples(st.just(insert), PLACE, NOISE),
    st.tuples(st.just(remove), PLACE, SPAN),
    st.tuples(st.just(double), PLACE, SPAN, PLACE),
    st.tuples(st.just(truncate), PLACE),
    st.tuples(st.just(remove_line), PLACE),
    st.tuples(st.just(double_line), PLACE, st.just(0.0) | PLACE),
    st.tuples(st.just(swap_lines), PLACE, PLACE),
    st.tuples(st.just(cut_line), PLACE, st.sampled_from([1, 2, END, 40])),
    st.tuples(st.just(double_end), PLACE, st.sampled_from([2, END, 40])),
)

# What a value of a sweep file may be replaced by, and what is taken for a value or a key.
VALUES = st.sampled_from(
    [
        "0", "-1", "1", "3", "0.5", "1e-320", "1e308", "-0.0", "inf", "nan", "-inf", "true", "false", '""', '"none"',
        '"a\\nb"', '"\\u0000"', '"mlp"', '"é🎲"', "[]", "[[]]", "[1]", "[0.1, 0.2]", '["a", 1]', "{}", "{ low = 0 }",
        "{ low = 0.1, high = 0.2 }", "{ low = 1, high = 3, step = 1 }", "{ low = 1e-320, high = 1, log = true }",
        "{ low = 0, high = 1, step = 1e-9 }", "{ low = -1e308, high = 1e308 }", "{ one_of = { mixup = {} } }",
        "{ switch = true }", "{ one_of = {} }", "{ dropout = {} }", "2024-01-01", "12:00:00", "9" * 400, "9" * 5000,
        "0x" + "f" * 4000, "1" + "0" * 30, "[" * 5000 + "]" * 5000, "[" * 5000, "{a=" * 300 + "1" + "}" * 300,
        "9223372036854775807", "9223372036854775808", "1_000", "[1, 1, 1]", "[" + "1, " * 5000 + "1]",
        "[{ a = 1 }]", '"' + "x" * 3000 + '"', "{ low = 1, high = 9223372036854775808 }", "{ off = 1 }",
        "{ low = 0.1, high = 0.9, off = true }", '[true, "a"]', "[true, false]", "[1, 1.0, true]",
    ]
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "name", "low", "high", "log", "step", "off", "switch", "one_of", "none", "seed", "plugins", "data", "network",
        "optimizer", "training", "base", "arms", "search", "confirm", "cluster", "epochs", "batch", "labels", "trials",
        "trials_per_knob", "weights", "splits", "retrain", "dropout", "mixup", "early_stopping", "swa", '""', '"a b"',
        '"a.b"', '"\\n"', "a.b.c", "gpus_per_trial", "hours_per_trial", "corruptions", "label_noise", "widths",
    ]
)  # fmt: skip
VALUE = re.compile(r'(?<== )(?:"[^"]*"|\{[^{}]*\}|\[[^\[\]]*\]|[\w.+-]+)')
KEY = re.compile(r"\b[a-z_]+(?= =)|(?<=^\[)[a-z_.]+(?=\])", re.MULTILINE)


def replace(pattern: re.Pattern[str], place: float, new: str) -> Damage:
    """Put something else in the place of one match."""

    def damage(text: bytes) -> bytes:
        whole = text.decode(errors="replace")
        found = list(pattern.finditer(whole))
        if not found:
            return text
        match = found[min(at(place, len(found)), len(found) - 1)]
        return (whole[: match.start()] + new + whole[match.end() :]).encode()

    return damage


def add(place: float, key: str, value: str) -> Damage:
    """Add a setting on a line of its own."""

    def change(all_: list[bytes]) -> list[bytes]:
        here = at(place, len(all_))
        return [*all_[:here], f"{key} = {value}\n".encode(), *all_[here:]]

    return lines(change)


WORDS = st.one_of(
    st.tuples(st.just(replace), st.just(VALUE), PLACE, VALUES),
    st.tuples(st.just(replace), st.just(KEY), PLACE, KEYS),
    st.tuples(st.just(add), PLACE, KEYS, VALUES),
)
SOURCES = [
    (Path(__file__).parent.parent / "sweeps" / f"{name}.toml").read_bytes() for name in ("quickstart", "cocktail")
]
SOURCES.append(SWEEP.encode())


def damaged(text: bytes, damages: Sequence[Kind]) -> bytes:
    for kind, *values in damages:
        text = kind(*values)(text)
    return text


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """Fail where the block takes too much CPU time."""

    def over(number: int, frame: object) -> None:
        raise AssertionError(f"not done after {CPU_SECONDS} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def refused(error: Refused, path: Path) -> str:
    text = str(error)
    assert len(text.splitlines()) == 1
    assert text.startswith(str(path))
    return "refused"


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[tuple[str, str]]]:
    """What became of the files, printed at the end."""
    found = Counter[tuple[str, str]]()
    yield found
    print(dict(found))


@given(source=st.sampled_from(SOURCES), damages=st.lists(WORDS | BYTES, min_size=1, max_size=4))
@QUIET
def test_a_damaged_sweep_file_is_read_or_refused_in_one_line(
    source: bytes, damages: list[Kind], tmp_path: Path, counts: Counter[tuple[str, str]]
) -> None:
    path = tmp_path / "damaged.toml"
    path.write_bytes(damaged(source, damages))
    with in_time():
        try:
            sweep = Sweep.read(path)
        except Refused as error:
            counts["sweep file", refused(error, path)] += 1
            return
        assert json.dumps(sweep.plain(), allow_nan=False), "a sweep that is read can be written to a log"
    counts["sweep file", "read"] += 1


class Recorded:
    """A sweep and its log; some trials were pruned."""

    def __init__(self, sweep: Sweep, path: Path) -> None:
        self.sweep, self.content, self.rows = sweep, path.read_bytes(), read_log(path)[0]

    def __repr__(self) -> str:
        return "recorded"  # hypothesis prints what a test got


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "small.toml").write_text(ASHA)
    sweep = Sweep.read(folder / "small.toml")
    path = run(sweep, folder, in_process=True)
    assert b'"pruned"' in path.read_bytes()
    return Recorded(sweep, path)


def ends(rows: Sequence[Json]) -> dict[tuple[object, ...], Json]:
    return {tuple(row["cell"]): row["outcome"] for row in rows if row["event"] == "ended"}


@given(damages=st.lists(BYTES, min_size=1, max_size=3))
@QUIET
def test_a_damaged_log_is_refused_in_one_line_or_recovered(
    damages: list[Kind], recorded: Recorded, tmp_path: Path, counts: Counter[tuple[str, str]]
) -> None:
    """What is recovered are the first rows of the original, and a run that resumes from there ends trials alike."""
    sweep, original, rows = recorded.sweep, recorded.content, recorded.rows
    path = tmp_path / sweep.name / "log.jsonl"
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    path.write_bytes(damaged(original, damages))
    before = path.read_bytes()
    with in_time(), warnings.catch_warnings():
        for message in ("the last line was cut off by a crash", "resumes a log that other software or hardware began"):
            warnings.filterwarnings("ignore", message=f".* {message}")  # the latter where a commit came meanwhile
        try:
            found, torn = read_log(path)
        except Refused as error:
            counts["log", refused(error, path)] += 1
            for reader in (lambda: load(path), lambda: Log(path), lambda: forecast(sweep, tmp_path, RunOptions())):
                with pytest.raises(Refused) as caught:
                    reader()
                refused(caught.value, path)
            assert path.read_bytes() == before
            return
        counts["log", "whole" if before == original else "recovered, torn" if torn else "recovered"] += 1
        assert found == rows[: len(found)]
        assert torn == len(before.rpartition(b"\n")[2])
        forecast(sweep, tmp_path, RunOptions())
        if any(row["event"] == "header" for row in found):
            columns = load(path).trials[["arm", "phase", "number", "status"]]
            status = {tuple(key): word for *key, word in columns.itertuples(index=False, name=None)}
            assert all(status[key] == outcome["status"] for key, outcome in ends(found).items())
        else:
            with pytest.raises(Refused, match="expected a header"):
                load(path)
        assert path.read_bytes() == before
        goes_on(sweep, path)
    again, torn = read_log(path)
    assert torn == 0 or again == found
    assert again[: len(found)] == found
    whole = ends(rows)
    assert all(outcome == whole[key] for key, outcome in ends(again).items())


def goes_on(sweep: Sweep, path: Path) -> None:
    """Open the log to write, as a run does: ends that were decided and not yet written are written now."""
    with Log(path) as log:
        scheduler = SearchScheduler(sweep)
        search = PhaseController(scheduler=scheduler, log=log, retries=0)
        search.settle()
        if search.done:
            PhaseController(
                scheduler=ConfirmScheduler(sweep, SelectScheduler(sweep, scheduler), lambda ended: None),
                log=log,
                retries=0,
            ).settle()


def test_damage_was_both_refused_and_recovered_from(counts: Counter[tuple[str, str]]) -> None:
    """The two tests above see every outcome; where one of them is deselected, so is this."""
    for kind in ("sweep file", "log"):
        outcomes = {outcome for of, outcome in counts if of == kind}
        assert not outcomes or len(outcomes) > 1, f"{kind}: always {outcomes}"
