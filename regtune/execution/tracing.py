"""Where in a user's code something happens: that an error is raised, that a global random state moves."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

from regtune.core.errors import Refused
from regtune.core.global_rng import GlobalStates
from regtune.core.own_code import is_own

T = TypeVar("T")


def raised(error: BaseException) -> str:
    """Return an error in one line, with the last place in a user's code on the way to it, if there is one."""
    text = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    codes = ((frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__))
    places = [(code, line) for code, line in codes if is_own(code.co_filename)]
    return f"{text}, in {_named(*places[-1])}" if places else text


def drawing(run: Callable[[], T]) -> tuple[T, list[str], list[str]]:
    """Return what a function returns, whose global states it moved (torch, numpy, random), and in which functions.

    The functions are those of a user's code that drew, or called what drew; the run takes many times as long.
    """
    begun = last = GlobalStates.now()
    places: dict[str, None] = {}

    def look(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal last
        here = frame.f_back if event == "call" else frame  # what happened before a call was the caller's doing
        if here is None or not is_own(here.f_code.co_filename):
            return
        now = GlobalStates.now()
        if now.other_than(last):
            places[_named(here.f_code, here.f_code.co_firstlineno)] = None
            last = now

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        result = run()
    finally:
        sys.setprofile(before)
    return result, GlobalStates.now().other_than(begun), list(places)


def _named(code: CodeType, line: int) -> str:
    """Return a place as `Net.forward (mine.py:12)`."""
    return f"{code.co_qualname} ({Path(code.co_filename).name}:{line})"
