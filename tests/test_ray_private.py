"""Ray's private names stand in one file, and are there in the Ray that is installed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from ray._private import ray_constants, utils, worker

from regtune.execution.ray import private, starting

HOUSE = Path(private.__file__).resolve().parents[2]


def test_no_other_file_has_private_names_of_ray() -> None:
    found = [
        file.relative_to(HOUSE).as_posix()
        for file in sorted(HOUSE.rglob("*.py"))
        if re.search(r"\bray\._(?!_)|from ray\.\S*\._", file.read_text())
    ]
    assert found == ["execution/ray/private.py"]


def test_stand_ins_take_what_the_functions_take() -> None:
    for theirs, ours in (
        (worker.listen_error_messages, starting._silent),
        (utils.set_sigterm_handler, starting._unset),
    ):
        taken = inspect.signature(theirs).parameters
        inspect.signature(ours).bind(*taken)
        assert len(taken) == len(inspect.signature(ours).parameters), theirs.__name__


def test_what_is_replaced_is_put_back_whatever_happens() -> None:
    before = worker.listen_error_messages, utils.set_sigterm_handler, worker.connect, ray_constants.ENABLE_RAY_CLUSTER
    with pytest.raises(ZeroDivisionError), starting.unassuming(), starting.on_loopback():
        assert worker.listen_error_messages is starting._silent
        assert utils.set_sigterm_handler is starting._unset
        assert worker.connect is not before[2]
        assert ray_constants.ENABLE_RAY_CLUSTER is False
        1 / 0  # noqa: B018  # whatever goes wrong while Ray starts
    after = worker.listen_error_messages, utils.set_sigterm_handler, worker.connect, ray_constants.ENABLE_RAY_CLUSTER
    assert after == before


def test_workers_run_at_the_driver_s_niceness_unless_the_user_says_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray adds the number to that of the driver."""
    monkeypatch.delenv(private.NICENESS, raising=False)
    assert private.NICENESS == "RAY_worker_niceness"
    assert starting.driver_niceness() == {"RAY_worker_niceness": "0"}
    monkeypatch.setenv(private.NICENESS, "7")
    assert starting.driver_niceness() == {}
