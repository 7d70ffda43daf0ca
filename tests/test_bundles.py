"""Rows of several epochs stand for one row of each, whatever their numbers are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from regtune.storage.bundles import BUNDLE, bundled, expanded
from regtune.storage.log import Log, read_log

NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False))
OUTCOMES = st.one_of(st.none(), st.fixed_dictionaries({"status": st.sampled_from(["ok", "diverged"]), "kept": NUMBERS}))
EPOCHS = st.fixed_dictionaries(
    {"number": st.integers(1, 3), "val_loss": NUMBERS, "stage": st.sampled_from(["train", "retrain"])},
    optional={"val_auroc": NUMBERS, "outcome": OUTCOMES},
)
CELLS = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["search", "confirm"]), st.integers(0, 5)).map(list)
ROWS = st.lists(
    st.one_of(
        st.tuples(CELLS, EPOCHS).map(lambda two: ("epoch", {"cell": two[0], "epoch": two[1]})),
        st.tuples(CELLS, OUTCOMES).map(lambda two: ("ended", {"cell": two[0], "outcome": two[1]})),
    ),
    max_size=12,
)


def written(events: list[tuple[str, Any]]) -> list[str]:
    """Return rows as text, which tells 0 from -0.0 and from False."""
    return [json.dumps({"event": event, "time": 1.0, **row}) for event, row in events]


@given(ROWS)
def test_a_bundle_is_the_rows_that_it_stands_for(events: list[tuple[str, Any]]) -> None:
    again, counts = [], 0
    for (event, row), count in bundled(events):
        line = orjson.dumps({"event": event, "time": 1.0, **row})
        rows = [*expanded(orjson.loads(line))]
        assert len(rows) == count
        counts += count
        again += rows
    assert counts == len(events)
    assert [json.dumps(row) for row in again] == written(events)


@given(ROWS)
def test_a_log_reads_what_was_written_at_once(tmp_path_factory: Any, events: list[tuple[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    with Log(path) as log:
        places = log.append_all(events)
        assert len(places) == len(events)
    rows, torn = read_log(path)
    assert torn == 0
    assert [json.dumps(row | {"time": 1.0}) for row in rows] == written(events)


def test_alike_neighbours_are_one_row_and_a_torn_one_is_lost_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    epochs = [("epoch", {"cell": ["a", "search", n], "epoch": {"number": 3, "val_loss": n / 10}}) for n in range(4)]
    with Log(path) as log:
        log.append("header", {"sweep": {}})
        log.append_all(epochs)
    _, line = path.read_text().splitlines()
    row = json.loads(line)
    assert row["event"] == BUNDLE
    assert row["cells"] == [["a", "search", [0, 1, 2, 3]]]
    assert row["epoch"] == {"number": 3, "val_loss": [0.0, 0.1, 0.2, 0.3]}
    path.write_bytes(path.read_bytes()[:-5])
    with Log(path) as log:
        assert [row["event"] for row in log.rows] == ["header"]
        log.append_all(epochs[:1])
    assert [row["event"] for row in read_log(path)[0]] == ["header", "epoch"]
