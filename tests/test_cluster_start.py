"""Where Ray's processes do not come up a user reads one line, which says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray

from regtune.core.errors import Refused
from regtune.execution.ray.connect import cluster
from regtune.sweep.sweep import Sweep


def test_a_cluster_that_does_not_start_is_one_line(sweep_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**settings: Any) -> None:
        raise Exception("The current node timed out during startup.\nSee ...")  # as Ray's own

    monkeypatch.setattr(ray, "init", late)
    expected = (
        r"^cluster: expected Ray to start on this machine, given: The current node timed out "
        r"during startup\. See \.\.\.; "
        r"when the machine is less busy run the same command again, which resumes, or add "
        r"--in-process to train without Ray$"
    )
    with pytest.raises(Refused, match=expected), cluster(Sweep.read(sweep_file), None, print):
        pass
