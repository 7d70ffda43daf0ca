"""Which tests pytest-xdist runs on one worker: those of a file, whose fixtures are made once, and all that start Ray.

Ray takes a CPU for every trial, so two files of them would only wait for each other. `--dist loadgroup` would do it
with marks, but groups nothing with pytest 9.2 (pytest-xdist's issue 1386).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling

RAY = ("test_cluster.py", "test_jobs.py", "test_loopback.py", "test_nodes.py", "test_readme.py")


def starts_ray(nodeid: str) -> bool:
    return PurePosixPath(nodeid.partition("::")[0]).name in RAY


class Files(LoadFileScheduling):
    """Hands out file by file, and the files that start Ray as one."""

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if starts_ray(nodeid) else super()._split_scope(nodeid)
