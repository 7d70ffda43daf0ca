"""What is answered in the process of `worker`: `python -m regtune.service.answers PLUGIN ...`, a line for a line."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from regtune.core.errors import Refused, nearest, shown
from regtune.core.plugins import import_plugin, name_of_plugin
from regtune.core.records import Json
from regtune.execution.reuse import check_reuse
from regtune.service.checking import UNNAMED, written
from regtune.service.entries import entries
from regtune.service.folders import check_size, folder_of
from regtune.service.problems import Denied, status_of
from regtune.service.worker import Read
from regtune.storage.compatibility import check_same
from regtune.storage.layout import LOG
from regtune.storage.log import LogFile, check_not_compressed
from regtune.storage.shape import refused_if_misshapen
from regtune.sweep.layers import INCLUDE
from regtune.sweep.reading import read_file
from regtune.sweep.reading_toml import read_toml
from regtune.sweep.resumed import as_resumed
from regtune.sweep.schema import NAME
from regtune.sweep.sweep import Sweep

WEIGHTS = "weights"  # the knob of whatever begins with a file of them
REUSED = re.compile(rf"\.\./{NAME[1:-1]}")


def answered(question: Json, plugins: Sequence[str]) -> Any:
    """Return the answer to a question of the service, where these plugins are allowed; raises Refused.

    `do` is `entries`: all that a sweep file may name. Or `read`: what is known of the sweep file of `toml`, called
    `name` if it says none, where `results` has the sweeps; where it `starts` the log of the sweep, if there is one,
    has to be one that can go on with it, of at most `most` bytes, else Denied.
    """
    if question["do"] == "entries":
        return entries(plugins)
    with written(question["toml"].encode(), question["name"]) as file:
        sweep = _read(file, plugins, Path(question["results"]))
    if question["starts"]:
        folder = folder_of(Path(question["results"]), sweep.name)
        check_size(folder, question["most"])
        _check_log(folder, sweep)
    arms = tuple(arm.name for arm in sweep.arms)
    return dataclasses.asdict(Read(name=sweep.name, arms=arms, plugins=sweep.arms[0].template.plugins))


def _read(file: Path, plugins: Sequence[str], results: Path) -> Sweep:
    if INCLUDE in read_toml(file):
        raise Refused(f"{INCLUDE}: expected one file, given one that includes another; put the tables of both into one")
    read = read_file(file)
    if read.name is None and file.stem == UNNAMED:
        raise Refused("name: expected the name of the sweep, in the file or beside it, given nothing")
    for plugin in read.plugins:
        if plugin not in plugins:
            raise Refused(
                f"plugins: expected plugins that this service allows, given {shown(plugin)}"
                f"{nearest(plugin, plugins)}; regtune serve --plugin allows one"
            )
    for folder in read.reuse:
        if not REUSED.fullmatch(folder):
            raise Refused(f"reuse: expected other sweeps of this service, as '../NAME', given {shown(folder)}")
    for table in ("network", "base", "arms"):
        for where, given in _files_of_weights(getattr(read, table), table):
            path = PurePosixPath(given)
            if path.is_absolute() or ".." in path.parts:
                raise Refused(f"{where}: expected a file below the data folder of this service, given {shown(given)}")
    try:
        sweep = Sweep.read(file)
    except Refused as error:
        raise Refused(str(error).removeprefix(f"{file}: ")) from error
    _check_reuse(sweep, read.reuse, results)
    return sweep


def _files_of_weights(table: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield the files of weights that a network or a method begins with, each behind its path in the sweep file."""
    for name, value in table.items() if isinstance(table, dict) else ():
        for each in value if isinstance(value, list) else [value]:
            if name == WEIGHTS and isinstance(each, str):
                yield f"{where}.{name}", each
        yield from _files_of_weights(value, f"{where}.{name}")


def _check_reuse(sweep: Sweep, given: Sequence[str], results: Path) -> None:
    """Raise Refused for sweeps to reuse that are not there, as seen from where the file of the sweep will lie.

    It lies elsewhere while it is read, so what its folders are beside there says nothing.
    """
    try:
        folders = [str(folder_of(results, each.removeprefix("../"))) for each in given]
    except Denied as error:
        raise Refused(f"reuse: {error}") from error
    check_reuse(sweep.model_copy(update={"reuse": tuple(folders)}), results)


def _check_log(folder: Path, sweep: Sweep) -> None:
    """Raise Denied where the log of a folder is of another sweep, or cannot be gone on with, as a run would say."""
    try:
        check_not_compressed(folder / LOG)
        if (folder / LOG).exists():
            log = LogFile(folder / LOG)
            with refused_if_misshapen(log.path):
                log.hear()
                check_same(log.path, log.rows, as_resumed(sweep, log.rows).plain())
    except Refused as error:
        raise Denied(409, str(error)) from error


def main() -> None:
    """Answer every line of the standard input with a line, until it ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what plugins print is no answer
    plugins = [name_of_plugin(given) for given in sys.argv[1:]]
    for line in sys.stdin.buffer:
        try:
            for plugin in plugins:
                import_plugin(plugin)
            answer = {"answer": answered(json.loads(line), plugins)}
        except Refused as error:
            answer = {"refused": str(error), "status": status_of(error)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
