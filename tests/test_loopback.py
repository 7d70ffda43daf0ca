"""What processes listen on: a Ray of one's own listens to this machine only, which test_cluster.py looks at."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

SOCKETS = Path("/proc/net/tcp")  # of Linux
LISTENS = "0A"


def descendants(root: int) -> set[int]:
    """Return a process and all that it and its children have started."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        parents[int(folder.name)] = int(words[1])
    found, new = {root}, {root}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


def sockets(process: int) -> set[str]:
    """Return the inodes of the sockets that a process has open."""
    found = set()
    for link in Path(f"/proc/{process}/fd").glob("*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found


def listening(processes: set[int]) -> dict[str, str]:
    """Return address:port of what these processes listen on, with the command line of each."""
    owners = {inode: process for process in processes for inode in sockets(process)}
    found = {}
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENS and words[9] in owners:
                host, _, port = words[1].partition(":")
                # The kernel prints each 32 bits of an address as a number of this machine's byte order.
                parts = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
                address = socket.inet_ntop(family, struct.pack(f"={len(parts)}I", *parts))
                name = Path(f"/proc/{owners[words[9]]}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[f"{address}:{int(port, 16)}"] = name[:200]
    return found


@pytest.mark.skipif(not SOCKETS.exists(), reason="needs Linux's /proc")
def test_what_listens_is_found() -> None:
    """`listening` sees a socket of this process on all addresses."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104  # to be found
        assert f"0.0.0.0:{server.getsockname()[1]}" in listening(descendants(os.getpid()))
