"""Addresses of job servers; looked at without Ray, which takes seconds and memory to import."""

from __future__ import annotations

from regtune.core.errors import Refused, shown


def check_address(address: str) -> None:
    """Raise Refused for what cannot be the address of a job server."""
    if address.startswith(("http://", "https://")):
        return
    remedy = "; a Ray Client would take the sweep down with its connection" if address.startswith("ray://") else ""
    raise Refused(f"--address: expected http://HOST:8265, the cluster's job server, given {shown(address)}{remedy}")
