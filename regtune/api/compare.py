"""Which regularizer is worth it for this network on these data, in one call: a sweep like any other, made and run here.

The call is a sweep file that is written beside its results. The same call again resumes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from regtune.api.given_data import GivenData, given_data
from regtune.api.given_network import given_network
from regtune.api.planning import LENGTHS, fastest, measure, plan, search_seconds
from regtune.api.results import SWEEP_FILE, Results, load
from regtune.cli.progress import Progress, live
from regtune.core.errors import Refused, shown
from regtune.core.knobs import plain_settings
from regtune.core.own_code import own_errors
from regtune.core.records import Json
from regtune.core.registry import name_of
from regtune.core.signals import Interrupted
from regtune.core.writing import write
from regtune.data import DATASETS, DataLocation, Own
from regtune.execution.limits import Limit
from regtune.execution.preflight import preflight
from regtune.execution.run import run
from regtune.execution.watch import Watch, Watching, many_of
from regtune.regularizers import Regularizer
from regtune.results.loader import has_begun
from regtune.storage.layout import log_in
from regtune.sweep.schema import NAME
from regtune.sweep.sweep import Sweep
from regtune.sweep.writing import as_toml

BASELINE = "baseline"
RATES = {"low": 0.003, "high": 0.3, "log": True}
OPTIMIZER: Mapping[str, Any] = {"name": "sgd", "momentum": 0.9, "learning_rate": RATES}
HELD_OUT, MOST_HELD_OUT = 0.2, 5000  # share of the examples for validation, and the most of them
BATCHES = ((1280, 64), (320, 32), (0, 16))  # from so many training examples on
TIMED_EPOCHS = 3
LATE = 1.05  # of the minutes: what is not over then is left for the next call
MOST_CPUS = 4  # threads of a trial; more gain little for networks that train in minutes
SEAL = "# regtune.compare "  # begins a file that this has written; behind it is a hash of what was asked


class _OutOfTimeError(Interrupted):
    """The minutes are over."""


def compare(
    net: object,
    data: object,
    methods: Sequence[str | Regularizer] | Mapping[str, Mapping[str, Any]],
    *,
    minutes: float = 5.0,
    epochs: int | None = None,
    batch: int | None = None,
    optimizer: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
    seed: int = 0,
    name: str | None = None,
    results: str | Path = "results",
    cpus: int | None = None,
    gpu: bool | None = None,
    progress: bool = True,
) -> Results:
    """Compare regularizers with a plain baseline for a network on data, here and now, and return the results.

    `net` is an `nn.Module`, a class of one, a function that returns one, or the name or the settings of a network of
    `regtune list networks`. `data` are arrays or tensors `(x, y)` or `(x, y, x_test, y_test)`, pictures as uint8 or in
    [0, 1]; a torch `Dataset` of pictures and labels, or two, for training and test; the path of an .npz file or of a
    folder of pictures, `train/<class>/...`; or the name or the settings of a data set. `methods` are names, with their
    own search space, or values as `Dropout(p_hidden=0.5)`; or arms by name, as the table `[arms]` of a sweep file.

    The number of search trials, of fresh seeds and of epochs is what fits into so many `minutes`, by the time that
    epochs take. The settings `epochs`, `batch`, `optimizer`, `base`, `plugins` and `seed` are those of a sweep file.
    Everything lies in the folder `name` below `results`; by default the name is a hash of what is asked. The same call
    again goes on where it ended, also after Ctrl-C, which returns what there is. A trial has `cpus` threads, by default
    as many as make it faster, and a GPU if there is one, unless `gpu` is False.

    Raises Refused, in one line, for what cannot be compared.
    """
    began = time.monotonic()
    _check(minutes, {"epochs": epochs, "batch": batch, "cpus": cpus}, {"optimizer": optimizer, "base": base}, name)
    console = Console(quiet=not progress)
    network, examples = given_network(net), given_data(data)
    if network.doubt and name is None:
        raise Refused(
            f"net: expected values that the same call can be known by, given {network.doubt}; give name='...', or make "
            f"it inside of the function"
        )
    if isinstance(plugins, str):
        raise Refused(f"plugins: expected a list of modules, as ['mine'], given {shown(plugins)}")
    asked = {
        "network": network.table,
        "data": examples.table,
        "optimizer": dict(OPTIMIZER if optimizer is None else optimizer),
        "arms": arms_of(methods),
        **({"base": dict(base)} if base else {}),
        "plugins": list(plugins),
        "seed": seed,
        "cluster": {"gpus_per_trial": 1} if (torch.cuda.is_available() if gpu is None else gpu) else {},
    }
    wanted = json.dumps([minutes, epochs, batch, cpus])
    seal = hashlib.sha256(f"{as_toml(asked)}{wanted}{examples.seal(plugins)}".encode()).hexdigest()
    name = f"compare-{seal[:8]}" if name is None else name
    folder, threads = Path(results) / name, torch.get_num_threads()

    def say(text: str) -> None:
        console.print(f"regtune: {text}", style="dim", markup=False, soft_wrap=True)

    place = examples.place(folder)
    try:
        begun = _is_there(folder / SWEEP_FILE, seal, name)
        with _kept_if_begun(folder):
            network.register(folder)
            if not begun:
                examples.store(folder)
                if network.note:
                    say(network.note)
                maker = _Maker(asked, name, place, began, say)
                made = as_toml(maker.tables(minutes=minutes, epochs=epochs, batch=batch, cpus=cpus))
                write(folder / SWEEP_FILE, f"{SEAL}{seal}\n{_how(examples, folder)}{made}")
        sweep = Sweep.read(folder / SWEEP_FILE)
        _run(sweep, Path(results), place, began, 60 * minutes, console, say)
    finally:
        torch.set_num_threads(threads)
    return load(folder)


def _check(minutes: object, counts: Mapping[str, object], tables: Mapping[str, object], name: object) -> None:
    """Raise Refused for settings that no sweep file would have."""
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < 1e6:
        raise Refused(f"minutes: expected a number above 0, given {shown(minutes)}")
    for where, count in counts.items():
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise Refused(f"{where}: expected a whole number of at least 1, given {shown(count)}; None chooses one")
    for where, table in tables.items():
        if table is not None and not isinstance(table, Mapping):
            raise Refused(f"{where}: expected a table of settings, as a dict, given {shown(table)}")
    if name is not None and (not isinstance(name, str) or not re.fullmatch(NAME, name)):
        raise Refused(f"name: expected letters, digits, '.', '_' and '-', given {shown(name)}")


def arms_of(methods: Sequence[str | Regularizer] | Mapping[str, Mapping[str, Any]]) -> Json:
    """Return the table `[arms]`, the baseline first; raises Refused for what is no list of methods."""
    if isinstance(methods, Mapping):
        for name, table in methods.items():
            if not isinstance(table, Mapping):
                raise Refused(f"methods[{name!r}]: expected a table, as {{'dropout': {{}}}}, given {shown(table)}")
        arms = {name: dict(table) for name, table in methods.items()}
    elif isinstance(methods, str) or not isinstance(methods, Sequence):
        raise Refused(f"methods: expected a list, as ['dropout', 'mixup'], given {shown(methods)}")
    else:
        arms = {}
        for method in methods:
            given = isinstance(method, Regularizer)
            if not given and not isinstance(method, str):
                raise Refused(f"methods: expected names as 'dropout', or values as Dropout(), given {shown(method)}")
            arm = name_of(type(method)) if isinstance(method, Regularizer) else method
            if arm in arms:
                raise Refused(f"methods: expected each once, given {shown(arm)} twice; name the arms: {{'one': ...}}")
            arms[arm] = {arm: plain_settings(method) if given else {}}
    first = next(iter(arms.values()), {"none": None})
    return arms if not first else {BASELINE: {}, **arms}


class _Maker:
    """Makes the sweep file of what was asked: splits and batch by the data, the budget by the time of an epoch."""

    def __init__(self, asked: Json, name: str, place: DataLocation, began: float, say: Any) -> None:
        self._asked, self._name, self._place, self._began, self._say = asked, name, place, began, say

    def tables(self, *, minutes: float, epochs: int | None, batch: int | None, cpus: int | None) -> Json:
        """Return the tables of the file; raises Refused."""
        seconds, given = 60 * minutes, {"name": self._name, **self._asked, "data": self._data()}
        _, splits = preflight(self._draft(given, 2 if batch is None else batch, 1), self._place)
        fitting = next(size for least, size in BATCHES if len(splits.train) >= least)
        size = min(fitting if batch is None else batch, len(splits.train))
        drafts = {n: self._draft(given, size, n) for n in (sorted({1, _cpus()}) if cpus is None else [cpus])}
        threads = fastest({n: draft.arms[0] for n, draft in drafts.items()}, splits, seconds)
        times = measure(drafts[threads], splits, seconds)
        found = plan(times, seconds - (time.monotonic() - self._began), epochs)
        self._say(
            f"{found.trials} search trials and {found.seeds} confirm seeds an arm, of {found.epochs} epochs in batches "
            f"of {size}: about {found.seconds / 60:.1f} min"
        )
        if epochs is None and found.epochs < LENGTHS[0]:
            self._say("in trainings that short regularizers can show little; more minutes give longer ones")
        if found.seconds > seconds:
            self._say(
                f"minutes: this is the least that a comparison takes, and more than {minutes:g} min; what there is "
                f"then is returned, and the same call goes on"
            )
        return given | {
            "training": {"epochs": found.epochs, "batch": size},
            **found.tables(),
            "cluster": {**self._asked["cluster"], "cpus_per_trial": threads},
        }

    def _data(self) -> Json:
        """Return `[data]` with as many validation examples as fit the user's own data, where nothing is said."""
        table: Json = self._asked["data"]
        plugins = self._asked["plugins"]
        with own_errors("data"):
            value = DATASETS.build({"name": "", **table}, "data", plugins)
            if not isinstance(value, Own) or "validation" in table:
                return dict(table)
            examples = len(value.parted(value.restricted(value.pool(self._place)))[0])
        return table | {"validation": max(min(round(HELD_OUT * examples), MOST_HELD_OUT), 2)}

    def _draft(self, tables: Json, batch: int, cpus: int) -> Sweep:
        """Return a sweep of the same arms, to be timed."""
        more: Json = {
            "training": {"epochs": TIMED_EPOCHS, "batch": batch},
            "search": {"trials": 1},
            "select": {"seeds": 0},
        }
        more["cluster"] = {**self._asked["cluster"], "cpus_per_trial": cpus}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sweep.toml"
            path.write_text(as_toml(tables | more), encoding="utf-8")
            try:
                return Sweep.read(path)
            except Refused as error:
                raise Refused(str(error).removeprefix(f"{path}: ")) from error


def _run(
    sweep: Sweep, results: Path, place: DataLocation, began: float, seconds: float, console: Console, say: Any
) -> None:
    """Run what is left of a sweep until its minutes are over or Ctrl-C comes; what has begun is kept."""
    seen, folder = Progress(sweep), sweep.folder(results)
    limit = Limit(hours=round(search_seconds(sweep, seconds) / 3600, 4))
    try:
        with contextlib.nullcontext() if console.quiet else live(seen, console):
            watch = _until(began + LATE * seconds, seen.watching)
            run(sweep, results, watch=watch, say=say, in_process=True, place=place, limit=limit)
    except KeyboardInterrupt as error:
        if not has_begun(folder):
            raise
        why = "the minutes are over" if isinstance(error, _OutOfTimeError) else "interrupted"
        say(f"{why}; finished work is kept, and the same call goes on")


def _until(deadline: float, watch: Watch) -> Watch:
    """Return a watch that ends the run with the first epoch behind the deadline: there is always one to show."""

    def watched(event: str, row: Json) -> None:
        watch(event, row)
        if event == "epoch" and time.monotonic() > deadline and "time" not in row:
            raise _OutOfTimeError

    return Watching(one=watched, many=many_of(watch))


@contextlib.contextmanager
def _kept_if_begun(folder: Path) -> Iterator[None]:
    """Have a folder for the block; leave nothing of a new one where the block is refused."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if new:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        raise


def _is_there(file: Path, seal: str, name: str) -> bool:
    """Return whether the file of this comparison is there; raises Refused where it is that of another."""
    if not file.exists() and not log_in(file.parent).exists():
        return False
    found = file.read_text(encoding="utf-8").partition("\n")[0] if file.exists() else "a sweep file"
    if found != f"{SEAL}{seal}":
        raise Refused(
            f"name: expected one that no other comparison has, {name} is of another network, other data, methods or "
            f"settings in {file.parent}; take another name"
        )
    return True


def _how(examples: GivenData, folder: Path) -> str:
    root = folder if examples.arrays else examples.root
    place = f" --data {root.absolute()}" if root else ""
    return f"# regtune run FILE --in-process{place}\n"


def _cpus() -> int:
    """Return the most threads that a trial is given here."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(here, MOST_CPUS)
