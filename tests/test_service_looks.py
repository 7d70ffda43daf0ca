"""What many wait for is looked at once; each gets what was found, whoever of them is called off."""

from __future__ import annotations

import threading

import anyio
import pytest

from regtune.core.errors import Refused
from regtune.service.events import COMMENT, statuses
from regtune.service.looks import Looks, tick
from regtune.service.problems import Denied
from regtune.service.sweeps import SHARE, _Loaded


class Look:
    """Counts how often it is made; each lasts until it may end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.made, self.may_end, self.error = 0, threading.Event(), error

    def __call__(self) -> int:
        self.made += 1
        self.may_end.wait(10)
        if self.error is not None:
            raise self.error
        return self.made


def test_who_comes_while_a_look_is_under_way_gets_what_it_finds() -> None:
    look, looks, found = Look(), Looks(), list[int | None]()

    async def one() -> None:
        found.append(await looks.at("log", look, 10.0))

    async def all_of_them() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
            await anyio.sleep(0.05)
            look.may_end.set()
        await one()  # what is over is looked at again

    anyio.run(all_of_them)
    assert (look.made, found) == (2, [1] * 20 + [2])


def test_an_error_reaches_all_who_wait() -> None:
    look, looks, said = Look(Refused("log: damaged")), Looks(), list[str]()

    async def one() -> None:
        with pytest.raises(Refused) as error:
            await looks.at("log", look, 10.0)
        said.append(str(error.value))

    async def all_of_them() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)
            await anyio.sleep(0.05)
            look.may_end.set()

    anyio.run(all_of_them)
    assert said == ["log: damaged"] * 3
    assert look.made == 1


def test_a_client_that_goes_leaves_its_look_to_another() -> None:
    look, looks, found = Look(), Looks(), list[int | None]()
    look.may_end.set()

    async def goes(scope: anyio.CancelScope) -> None:
        with scope:
            scope.cancel()
            await looks.at("log", look, 10.0)

    async def stays() -> None:
        found.append(await looks.at("log", look, 10.0))

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(goes, anyio.CancelScope())
            group.start_soon(stays)

    anyio.run(both)
    assert (look.made, found) == (1, [1])


def test_who_does_not_want_to_wait_longer_comes_again_for_the_same_look() -> None:
    look, looks, found = Look(), Looks(), list[int | None]()

    async def twice() -> None:
        found.append(await looks.at("log", look, 0.02))
        look.may_end.set()
        found.append(await looks.at("log", look, 10.0))

    anyio.run(twice)
    assert (look.made, found) == (1, [None, 1])


def test_a_stream_says_that_it_lives_while_a_look_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regtune.service.events.SECONDS_OF_SILENCE", 0.05)
    look, heard = Look(), list[str]()

    async def follow() -> None:
        ending = threading.Event()
        async for each in statuses(("one", None), lambda: str(look()), Looks(), ending):
            heard.append(each)
            if len(heard) == 2:
                look.may_end.set()
            if each != COMMENT:
                ending.set()

    anyio.run(follow)
    assert heard[:2] == [COMMENT, COMMENT]
    assert heard[-1] == "event: status\ndata: 1\n\n"


@pytest.mark.parametrize(("status", "events"), [(503, []), (409, ["event: problem"])])
def test_a_stream_ends_where_it_may_go_on_later_and_says_what_will_not(status: int, events: list[str]) -> None:
    heard = list[str]()

    def look() -> str:
        raise Denied(status, "cluster: it does not answer")

    async def follow() -> None:
        heard.extend([each async for each in statuses(("one", None), look, Looks(), threading.Event())])

    anyio.run(follow)
    assert [each.splitlines()[0] for each in heard] == events


def test_those_who_wait_for_a_tick_wake_together() -> None:
    woken: list[float] = []

    async def one(after: float) -> None:
        await anyio.sleep(after)
        await tick(0.3)
        woken.append(anyio.current_time())

    async def some() -> None:
        await tick(0.3)
        async with anyio.create_task_group() as group:
            for after in (0.0, 0.05, 0.1):
                group.start_soon(one, after)

    anyio.run(some)
    assert max(woken) - min(woken) < 0.05


def test_what_is_made_of_a_sweep_that_runs_is_made_again_as_seldom_as_it_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, made, loaded = [100.0], list[int](), _Loaded(running=True)
    monkeypatch.setattr("regtune.service.sweeps.time.monotonic", lambda: now[0])

    def make() -> int:
        now[0] += 2.0  # seconds that it takes
        made.append(1)
        return len(made)

    assert loaded.fresh(("table",), "log of 5 rows", make) == 1
    assert loaded.seconds_to_next(("table",)) == 2 * SHARE
    now[0] += 2 * SHARE - 1
    assert loaded.fresh(("table",), "log of 9 rows", make) == 1
    now[0] += 2
    assert loaded.fresh(("table",), "log of 9 rows", make) == 2
    now[0] += 10 * SHARE
    assert loaded.fresh(("table",), "log of 9 rows", make) == 2  # nothing has changed
    assert loaded.fresh(("table",), "log of 10 rows", make) == 3
    loaded.running = False
    assert loaded.fresh(("table",), "log of 11 rows", make) == 4  # what is over does not change all the time
    assert loaded.seconds_to_next(("table",)) == 0
