"""All repeats of a sweep, one after the other: each is a sweep with a log of its own, and resumes from it like one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from regtune.execution.run import RunOptions, run_with
from regtune.execution.watch import Watch
from regtune.storage.layout import repeat_words, repeats_of
from regtune.sweep.sweep import Sweep

# Opened when a repeat begins and closed when it ends: gives the watch of that repeat.
Watching = Callable[[Sweep], contextlib.AbstractContextManager[Watch]]


@contextlib.contextmanager
def unwatched(sweep: Sweep) -> Iterator[Watch]:
    """Watch nothing of a repeat."""
    yield lambda event, row: None


def run_all(
    sweep: Sweep,
    results: Path,
    options: RunOptions,
    *,
    watching: Watching = unwatched,
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Run what is left of every repeat of a sweep and return the paths of their logs, the first repeat's first.

    The arguments are those of `run.run_with`; `watching` gives a watch for each repeat. A limit holds for each
    repeat: one for all of them would leave the later ones less, and they would repeat something else. A repeat that is
    over takes the time to read its log. Raises Refused if a folder holds another sweep.
    """
    for text in extra_repeats(sweep, results):
        say(text)
    logs = []
    for one in sweep.every_repeat():
        with watching(one) as watch:
            telling = _saying(say, repeat_words(one.repeat, sweep.search.repeats))
            logs.append(run_with(one, results, options, watch=watch, say=telling))
    return logs


def extra_repeats(sweep: Sweep, results: Path) -> list[str]:
    """Return in words which repeats are there and no longer asked for."""
    asked = {one.folder(results) for one in sweep.every_repeat()}
    more = [path for path in repeats_of(sweep.folder(results)) if path not in asked and path != sweep.folder(results)]
    return [
        f"{path}: not resumed, search.repeats asks for {sweep.search.repeats}; the table has every repeat that is there"
        for path in more
    ]


def _saying(say: Callable[[str], None], which: str) -> Callable[[str], None]:
    """Return what says which repeat a text is about."""
    return lambda text: say(f"{which}: {text}" if which else text)
