"""The phases of a sweep in their order, each made from what the log says when the one before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from regtune.board import SearchBoard
from regtune.confirm import ConfirmBoard
from regtune.limits import Spent
from regtune.lives import Watch
from regtune.log import Writer
from regtune.phase import Phase
from regtune.records import Phase as Name
from regtune.rivals import RivalsBoard
from regtune.select import SelectBoard
from regtune.sweep import Sweep

LAST: Name = "rivals"


class Step(NamedTuple):
    """A phase by its name, with its board."""

    name: Name
    phase: Phase
    board: SearchBoard | SelectBoard | ConfirmBoard | RivalsBoard


def phases(
    sweep: Sweep, log: Writer, *, watch: Watch = lambda event, row: None, spent: Spent | None = None
) -> Iterator[Step]:
    """Yield the phases of a sweep: the next may be asked for when the one before is done.

    What select compares needs all of search, confirm's choice all of both; a phase replays its rows when it is made,
    so each is made once.
    """
    retries = sweep.cluster.retries
    search = SearchBoard(sweep)
    yield Step("search", Phase(board=search, log=log, watch=watch, retries=retries, spent=spent), search)
    select = SelectBoard(sweep, search)
    yield Step("select", Phase(board=select, log=log, watch=watch, retries=retries), select)
    confirm = ConfirmBoard(sweep, select)
    yield Step("confirm", Phase(board=confirm, log=log, watch=watch, retries=retries), confirm)
    rivals = RivalsBoard(sweep, select)
    yield Step("rivals", Phase(board=rivals, log=log, watch=watch, retries=retries), rivals)
