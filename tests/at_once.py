"""Which tests pytest-xdist runs on one worker: those of a file, whose fixtures are made once, and nearly all with Ray.

Ray takes a CPU for every trial, so many of them at once would only wait for each other. `--dist loadgroup` would do
it with marks, but groups nothing with pytest 9.2 (pytest-xdist's issue 1386).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling

RAY = ("test_cluster.py", "test_jobs.py", "test_nodes.py")
LONG = ("test_readme.py",)


def rank(nodeid: str) -> int:
    """Return the place of a test's file: what takes longest comes first, so that workers end together."""
    name = PurePosixPath(nodeid.partition("::")[0]).name
    return 0 if name in RAY else 1 if name in LONG else 2


class Files(LoadFileScheduling):
    """Hands out file by file, and those of RAY as one."""

    def _split_scope(self, nodeid: str) -> str:
        return super()._split_scope(nodeid) if rank(nodeid) else "ray"
