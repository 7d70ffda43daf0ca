"""What the service keeps stays within its bound, and is made again where it had to go."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regtune.service import events
from regtune.service.events import Pieces
from regtune.service.newest import Newest
from regtune.storage.layout import LOG
from tests.made_up import made_up_log


@given(asked=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9))), most=st.integers(0, 20))
def test_what_was_asked_for_last_is_kept_as_far_as_the_bound_goes(asked: list[tuple[int, int]], most: int) -> None:
    weights, made = dict[int, int](), list[int]()

    def make(key: int) -> int:
        made.append(key)
        return key

    newest, expected = Newest(make, lambda key: weights[key], most), list[int]()
    known = dict[int, int]()  # what each weighed when it was asked for
    for key, weight in asked:
        weights[key] = known[key] = weight
        before = len(made)
        assert newest.of(key) == key
        assert (len(made) > before) == (key not in expected)
        expected = [*(each for each in expected if each != key), key]
        while sum(known[each] for each in expected) > most and len(expected) > 1:
            expected.pop(0)


def test_pieces_of_logs_are_kept_within_their_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = [made_up_log(tmp_path / str(number), {"baseline": [0.6]}) / LOG for number in range(3)]
    pieces = Pieces()
    first = pieces.read(logs[0], 0, 0)
    assert pieces.read(logs[0], 0, 0) is first
    monkeypatch.setattr(events, "MOST_BYTES", 2 * len(first.text) + 100)
    kept = [pieces.read(log, 0, 0) for log in logs[1:]]
    assert [pieces.read(log, 0, 0) for log in logs[1:]] == kept
    again = pieces.read(logs[0], 0, 0)
    assert (again is first, again.text) == (False, first.text)
