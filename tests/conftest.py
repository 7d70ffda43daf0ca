"""Small trials and sweeps that every test file starts from."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch
import vl_convert
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from xdist.remote import Producer

from regtune.core.knobs import knobs, plain_settings
from regtune.core.records import Json, Trial
from regtune.core.search_space import Condition
from regtune.core.state import Tensors
from regtune.data import DataLocation, Splits
from regtune.optimizers import OPTIMIZERS
from regtune.regularizers import REGULARIZERS, Regularizer
from regtune.samplers import SAMPLERS, Question
from regtune.service import charts
from regtune.storage.log import sealed
from regtune.training.lane import Lane
from regtune.training.process import prepare_process
from tests.at_once import Files, rank

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.paged import Shown


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Files:
    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))


def pytest_collection_finish() -> None:
    """Keep what is imported and collected out of garbage collections."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def own_process() -> None:
    """A lane leaves the process as it is, and bits depend on the number of threads: trials here have one.

    Ctrl-C interrupts also where a shell has started the tests in the background, with SIGINT ignored.
    """
    prepare_process(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of plugins that a test has Python look in are none of the next test's."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is cached by machine, pretrained weights, away from that of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_disks() -> Iterator[None]:
    """What a test writes needs to outlive no loss of power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_collections() -> Iterator[None]:
    """statsmodels collects garbage for every table, 50 ms and more in a process with pytest in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda generation=2: 0)
        yield


@pytest.fixture(autouse=True, scope="session")
def one_bundle() -> Iterator[None]:
    """Have the libraries of a report bundled once: they are the same on every page, and take a second of CPU time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "javascript_bundle", functools.cache(vl_convert.javascript_bundle))
        patch.setattr(charts, "bundled", functools.cache(charts.bundled))
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a Chromium that is installed; tests are skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # tests may run as root
        yield started
        started.close()


@pytest.fixture
def on_page(browser: Browser) -> OnPage:
    """Return what serves results and opens the page of that service for the time of a block, see `paged`."""
    from tests.paged import paged  # most tests need no server

    return functools.partial(paged, browser)


METHODS = sorted(REGULARIZERS.all())
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MakeTrial = Callable[..., Trial]
OnPage = Callable[..., "AbstractContextManager[Shown]"]


def neutral(name: str) -> Regularizer:
    """Return a method at its neutral setting."""
    cls = REGULARIZERS.all()[name]
    return cls(**{k.name: k.neutral for k in knobs(cls).values() if k.neutral is not None})


def searched(name: str, end: str = "low") -> Regularizer:
    """Return a method with its searched knobs at one end of their default space."""
    cls = REGULARIZERS.all()[name]
    return cls(**{k.name: getattr(k.space, end) for k in knobs(cls).values() if k.space is not None})


def row(name: str, method: Regularizer) -> Json:
    return {"name": name, **plain_settings(method)}


def small_trial(recipe: Sequence[Json] = (), optimizer: str | Json = "sgd", **changes: Any) -> Trial:
    """Return a trial of a few milliseconds on made-up pictures."""
    if isinstance(optimizer, str):
        optimizer = {"name": optimizer, **plain_settings(OPTIMIZERS.find(optimizer, "optimizer")())}
    settings: dict[str, Any] = {
        "data": {"name": "synthetic", "train": 48, "validation": 32, "test": 37, "noise": 0.6, "side": 6},
        "network": {"name": "mlp", "widths": [12, 12, 12], "residual": True},
        "optimizer": optimizer,
        "epochs": 4,
        "batch": 16,
        "seed": 7,
    }
    return Trial(**(settings | {"recipe": tuple(recipe)} | changes))


def trained(trial: Trial, data: Splits | None = None) -> Lane:
    """Return the lane of a trial after its last epoch."""
    lane = Lane((trial,), data=data)
    for _ in lane:
        pass
    return lane


def same(a: Tensors, b: Tensors) -> bool:
    """Return whether two sets of tensors are equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def write_log(path: Path, rows: Iterable[Json]) -> None:
    """Write rows as a log has them, each with its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seal, lines = 0, []
    for row in rows:
        line, seal = sealed(row, seal)
        lines.append(line)
    path.write_bytes(b"".join(lines))


def untimed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison without the columns in which two runs of one sweep may differ."""
    return table.loc[:, ~table.columns.str.contains("seconds|data_share")]


def question(
    space: Mapping[str, BaseDistribution],
    when: Mapping[str, Condition] | None = None,
    told: Sequence[FrozenTrial] = (),
    number: int = 0,
    **changes: Any,
) -> Question:
    """Return what a sampler is asked for a trial of an arm, after these trials."""
    return Question(
        space=space,
        when=when or {},
        stream="sweep/0/arm",
        sweep="sweep/0",
        shared=frozenset(),
        number=number,
        history=lambda: told,
        **changes,
    )


def suggested(sampler: str, asked: Question) -> dict[str, Any]:
    return SAMPLERS.all()[sampler]().sample(asked)


SWEEP = """
[data]
name = "synthetic"
train = 48
validation = 32
test = 37
noise = 0.6
[network]
name = "mlp"
widths = [12, 12]
residual = true
[optimizer]
learning_rate = { low = 0.001, high = 0.3, log = true }
[training]
epochs = 6
batch = 16
[arms]
baseline = {}
dropout = { dropout = {} }
mixup = { mixup = {} }
[search]
trials = 4
sampler = "random"
population = 1
[select]
seeds = 0
[confirm]
seeds = 3
aa = false
"""
ASHA = SWEEP.replace("population = 1", 'pruner = "asha"\npopulation = 1')  # prunes from the second trial of an arm on


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> DataLocation:
    """Return a place with links to the real data of this machine, so that caches are written into the test's folder."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    source = Path(os.environ.get("REGTUNE_DATA") or beside)
    if not source.is_dir():
        pytest.skip(f"no real data: REGTUNE_DATA is not set, and {beside} is no folder")
    root = tmp_path_factory.mktemp("real")
    for path in source.iterdir():
        (root / path.name).symlink_to(path.resolve())
    return DataLocation(root=root)


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SWEEP)
    return path
