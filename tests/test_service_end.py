"""A service that is told to stop ends its streams, and says nothing of it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.made_up import made_up_log
from tests.served import API


def test_a_service_with_an_open_stream_ends_in_an_orderly_way(tmp_path: Path) -> None:
    made_up_log(tmp_path / "one", {"baseline": [0.6], "dropout": [0.7]})
    command = [sys.executable, "-m", "regtune", "serve", "--results", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert address
        with httpx.stream("GET", f"{address[0]}{API}/sweeps/one/events", trust_env=False, timeout=30) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("id: ")
            process.send_signal(signal.SIGTERM)
            list(lines)  # to its end; one that is broken off raises
        _, said = process.communicate(timeout=30)
    assert said == ""
