"""What the operator decides when the service starts. Nothing that is submitted changes any of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from regtune.core.errors import Refused

TOKEN_VARIABLE = "REGTUNE_TOKEN"  # noqa: S105 - the name of a variable
LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHORTEST_TOKEN = 16  # characters; one that is shorter can be guessed
MOST_BODY = 262_144  # bytes of a request: a sweep file of the largest size, as JSON may escape it
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where results lie and sweeps run, and who may ask.

    `hosts` are the names by which the service may be called, as in the header Host, without a port. `plugins` has by
    its name how each plugin was given that sweeps may use. Sweeps run on this machine, `in_process` or in a Ray of
    their own, or with `address` as jobs of the Ray cluster whose job server is there. A log of more than
    `most_log_bytes` is not read. `most_streams` clients may follow events at once.
    """

    results: Path
    data: Path | None = None
    download: bool = False
    plugins: dict[str, str]
    token: str | None = None
    hosts: frozenset[str] = frozenset(LOOPBACK)
    in_process: bool = False
    address: str | None = None
    most_log_bytes: int = 512 * MIB
    most_streams: int = 200


def check_access(host: str, token: str | None) -> None:
    """Raise Refused where others than users of this machine could reach the service without a good token."""
    if token is None:
        if host not in LOOPBACK:
            raise Refused(
                f"--host {host}: expected a token for a service that other machines reach, given none; put one into "
                f"{TOKEN_VARIABLE} or a file (--token-file), as `openssl rand -hex 32` makes it"
            )
        return
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise Refused(
            f"{TOKEN_VARIABLE}: expected a token of at least {SHORTEST_TOKEN} characters, ASCII without spaces; "
            f"`openssl rand -hex 32` makes one"
        )
