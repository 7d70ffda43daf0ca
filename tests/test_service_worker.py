"""The process in which sweep files are read: it is there when it is needed, and gone when the service is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from regtune.core.errors import Refused
from regtune.service.answers import answered
from regtune.service.problems import Denied
from regtune.service.worker import Worker
from tests.conftest import SWEEP
from tests.served import settings
from tests.test_service_runs import until

SENT = {"do": "read", "toml": SWEEP, "name": "small", "results": "none", "starts": False, "most": 0}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(settings(tmp_path))
    yield worker
    worker.close()


def children(parent: int) -> list[int]:
    """Return the processes of a worker that this process, or another one, has begun."""
    every = [int(each) for file in Path(f"/proc/{parent}/task").glob("*/children") for each in file.read_text().split()]
    return [each for each in every if b"regtune.service.answers" in Path(f"/proc/{each}/cmdline").read_bytes()]


def is_gone(process: int) -> bool:
    """Return whether a process has ended, if nobody may have asked how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_answers_as_this_process_would_and_ends_when_idle(tmp_path: Path) -> None:
    worker = Worker(settings(tmp_path), seconds_idle=0.5)
    try:
        assert worker.ask(SENT) == {"name": "small", "arms": [*answered(SENT, [])["arms"]], "plugins": []}
        (child,) = children(os.getpid())
        for question in (SENT | {"toml": SWEEP.replace("epochs", "epoch")}, SENT | {"name": "../up"}):
            with pytest.raises(Refused) as here:
                answered(question, [])
            with pytest.raises(Denied) as there:
                worker.ask(question)
            assert (str(there.value), there.value.status) == (str(here.value), 422)
        until(lambda: is_gone(child))
        assert worker.ask(SENT)["name"] == "small"  # another one
    finally:
        worker.close()
    assert not children(os.getpid())


def test_one_that_dies_is_said_and_the_next_question_begins_another(worker: Worker) -> None:
    worker.ask(SENT)
    (child,) = children(os.getpid())
    os.kill(child, signal.SIGKILL)
    until(lambda: is_gone(child))
    assert worker.ask(SENT)["name"] == "small"
    (child,) = children(os.getpid())
    os.kill(child, signal.SIGSTOP)
    dying = threading.Timer(0.2, os.kill, (child, signal.SIGKILL))
    dying.start()
    with pytest.raises(Denied, match="ended with exit status -9; try again") as denied:
        worker.ask(SENT)
    assert denied.value.status == 503
    assert worker.ask(SENT)["name"] == "small"


def test_it_ends_with_a_service_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.served import settings; "
        "from regtune.service.worker import Worker; worker = Worker(settings(Path('.'))); "
        "worker.ask({'do': 'entries'}); print('asked', flush=True); time.sleep(600)"
    )
    service = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with service:
        assert service.stdout is not None
        assert service.stdout.readline() == "asked\n"
        (child,) = children(service.pid)
        service.kill()
    until(lambda: is_gone(child))
