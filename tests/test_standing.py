"""How a sweep stands: what is counted as a log grows is what a reader of the whole log finds."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from regtune.analysis.left import trials_left
from regtune.core.copies import is_copy
from regtune.core.errors import Refused
from regtune.core.records import Json
from regtune.execution.run import run
from regtune.results import standing
from regtune.results.loader import load
from regtune.results.standing import Follower
from regtune.storage.layout import LOG
from regtune.storage.log import LogFile, read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import SWEEP, write_log
from tests.made_up import made_up_log

SCORES: dict[str, list[float | None]] = {"baseline": [0.6, 0.61, None], "dropout": [0.7, 0.71, 0.72]}


def counted(folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Return the counts as the frames have them."""
    trials = load(folder).trials
    found: dict[str, dict[str, dict[str, int]]] = {}
    for (arm, phase), mine in trials.groupby(["arm", "phase"]):
        found.setdefault(str(arm), {})[str(phase)] = dict(Counter(mine["status"]))
    return found


def test_the_counts_are_those_of_the_frames(tmp_path: Path) -> None:
    made_up_log(tmp_path, SCORES)
    standing = Follower(tmp_path).standing()
    assert standing.counts == counted(tmp_path)
    assert standing.epochs == int(load(tmp_path).trials["epochs"].sum())
    assert standing.holder is None
    assert standing.messages.keys() == {"baseline/search/2", "dropout/search/2"}


def test_a_copy_has_a_search_of_its_own_unless_draws_are_paired(tmp_path: Path) -> None:
    rows, _ = read_log(made_up_log(tmp_path / "one", SCORES) / LOG)
    for sampler, phases in (("paired", {"confirm"}), ("random", {"search", "confirm"})):
        sweep = rows[0]["sweep"] | {"aa": {"arm": "baseline (copy)"}}
        sweep["search"] = sweep["search"] | {"sampler": sampler}
        write_log(tmp_path / sampler / LOG, [rows[0] | {"sweep": sweep}, *rows[1:]])
        counts = Follower(tmp_path / sampler).standing().counts
        assert counts.keys() == {"baseline", "dropout", "baseline (copy)"}
        assert counts["baseline (copy)"].keys() == phases


def test_a_log_that_grows_is_counted_as_one_that_is_read_anew(tmp_path: Path) -> None:
    rows, _ = read_log(made_up_log(tmp_path / "whole", SCORES) / LOG)
    grown = Follower(tmp_path / "grown")
    for end in range(1, len(rows) + 1, 3):
        path = tmp_path / "grown" / "log.jsonl"
        write_log(path, rows[:end])
        assert Follower(path.parent).standing().counts == counted(path.parent)
        with path.open("ab") as file:
            file.write(b'{"event":"epo')  # what a writer is about to write
        assert grown.standing() == Follower(path.parent).standing()


def test_a_log_that_was_begun_anew_is_counted_from_its_beginning(tmp_path: Path) -> None:
    made_up_log(tmp_path, SCORES)
    follower = Follower(tmp_path)
    follower.standing()
    made_up_log(tmp_path, {"baseline": [0.6]})  # shorter
    assert follower.standing() == Follower(tmp_path).standing()
    made_up_log(tmp_path, {"other": [0.6] * 9, "dropout": [0.7] * 9})  # longer
    assert follower.standing() == Follower(tmp_path).standing()
    assert list(follower.standing().counts) == ["other", "dropout"]


def test_what_cannot_be_read_is_refused_until_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(tmp_path)
    with pytest.raises(Refused, match="expected a log"):
        follower.standing()
    path = made_up_log(tmp_path, SCORES) / LOG
    before = follower.standing()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event":"limit","message":"","crc":"00000000"}\n')
    read = list[Path]()

    class Counted(LogFile):
        def __init__(self, path: Path) -> None:
            read.append(path)
            super().__init__(path)

    monkeypatch.setattr(standing, "LogFile", Counted)
    for _ in range(3):
        with pytest.raises(Refused, match="with its checksum"):
            follower.standing()
    assert len(read) == 2, "from where it was read to, and from its beginning; then no more until it is another one"
    path.write_bytes(whole)
    assert follower.standing() == before


def test_a_sweep_that_is_run_has_a_holder_and_a_time_left(tmp_path: Path) -> None:
    rows: list[Json] = read_log(made_up_log(tmp_path / "whole", SCORES, epochs=40) / LOG)[0]
    now = time.time()
    timed = [{**row, "time": now - 100 + 0.1 * number} for number, row in enumerate(rows)]
    lease = {"event": "lease", "time": now, "host": "here boot", "pid": 7, "seconds": 90.0}
    log = tmp_path / "sweep" / "log.jsonl"
    half = next(k for k, row in enumerate(timed) if row.get("cell", [""])[0] == "dropout" and row["event"] == "epoch")
    write_log(log, [*timed[: half + 1], lease])
    standing = Follower(log.parent).standing()
    assert standing.holder is not None
    assert (standing.holder.host, standing.holder.pid) == ("here boot", 7)
    assert standing.counts["dropout"]["search"] == {"running": 1, "missing": 2}
    assert standing.counts["baseline"]["confirm"] == {"ok": 2, "missing": 1}
    assert standing.seconds_left is not None
    # The search of dropout may take 3 x 40 epochs, its confirm as much, and one of baseline is left: 280 in all.
    done = sum(row["event"] == "epoch" for row in timed[: half + 1])
    speed = (now - timed[next(k for k, row in enumerate(timed) if row["event"] == "epoch")]["time"]) / (done - 1)
    assert standing.seconds_left == pytest.approx(280 * speed)
    write_log(log, [*timed[: half + 1], lease | {"seconds": 0.0}])
    standing = Follower(log.parent).standing()
    assert (standing.holder, standing.seconds_left) == (None, None)
    assert standing.counts["dropout"]["search"] == {"interrupted": 1, "missing": 2}


def test_nothing_is_left_of_a_sweep_that_is_over(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SWEEP.replace("trials = 4", "trials = 2").replace("aa = false", ""))
    sweep = Sweep.read(tmp_path / "small.toml")
    log = run(sweep, tmp_path, in_process=True)
    standing = Follower(log.parent).standing()
    assert {arm: of for arm, of in standing.counts.items() if not is_copy(arm)} == counted(log.parent)
    assert list(standing.counts)[-1] == standing.sweep.copy  # it takes work, too
    assert trials_left(load(log)) == 0
    rows, _ = read_log(log)
    ends = [k for k, row in enumerate(rows) if row["event"] == "ended"]
    for end in ends[:-1]:
        write_log(log, rows[: end + 1])
        assert trials_left(load(log)) > 0


def test_what_only_a_limit_left_out_is_not_left(tmp_path: Path) -> None:
    path = made_up_log(tmp_path, {"baseline": [0.6], "dropout": [0.7]}) / LOG
    rows, _ = read_log(path)
    kept = [row for row in rows if row.get("cell", [""])[:2] != ["dropout", "search"] or row["cell"][2] == 0]
    write_log(path, kept)
    assert trials_left(load(tmp_path)) == 2
    write_log(path, [*kept, {"event": "limit", "message": "after 1 hour"}])
    results = load(tmp_path)
    assert trials_left(results) == 0
    assert trials_left(replace(results, limit="")) == 2
    assert Follower(tmp_path).standing().limit == "after 1 hour"
    assert json.loads(json.dumps(Follower(tmp_path).standing().counts))["dropout"]["search"]["missing"] == 2
