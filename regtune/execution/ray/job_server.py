"""The way to the job server of a Ray cluster; whatever is in the way is said in one line."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import ray
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from regtune.core.errors import Refused, shown
from regtune.execution.ray.address import check_address
from regtune.execution.ray.env_vars import environment
from regtune.execution.ray.private import has_token

SECONDS_TO_ANSWER = 10.0
REMEDY = (
    "put the cluster's token into RAY_AUTH_TOKEN or ~/.ray/auth_token, or its file into RAY_AUTH_TOKEN_PATH "
    "(`ray get-auth-token --generate` makes a token for a new cluster)"
)


@contextlib.contextmanager
def connect(address: str) -> Iterator[JobSubmissionClient]:
    """Open the job server at an address; inside the block, what goes wrong on the way is Refused.

    Token authentication is on unless RAY_AUTH_MODE says otherwise. RAY_ADDRESS does not count: the address
    is the one that was given.
    """
    check_address(address)
    _check_parts()
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    ours = {"RAY_AUTH_MODE": mode, "RAY_API_SERVER_ADDRESS": address, "RAY_ADDRESS": None}
    with _refusals(address), _quiet():
        requests.get(f"{address.rstrip('/')}/api/version", timeout=SECONDS_TO_ANSWER)  # Ray's client waits for ever
        with environment(ours):
            if mode.lower() == "token":
                _check_token()
            client = JobSubmissionClient(address)
        yield client


def check_version(client: JobSubmissionClient, address: str) -> None:
    """Raise Refused unless the cluster runs this environment's Ray: regtune's log holds both together."""
    theirs = cluster_version(client)
    if theirs != ray.__version__:
        raise Refused(
            f"--address {address}: expected Ray {ray.__version__} as here, the cluster has {theirs}; "
            f"pip install 'ray[default]=={theirs}' here, or start the cluster with Ray {ray.__version__}"
        )


def cluster_version(client: JobSubmissionClient) -> str:
    """Return the version of Ray that the cluster runs; the client's own `get_version` is that of the interface."""
    return str(client._do_request("GET", "/api/version").json()["ray_version"])


def cluster_time(client: JobSubmissionClient) -> float:
    """Return the head's clock, in Unix seconds: those of two machines may differ."""
    return parsedate_to_datetime(client._do_request("GET", "/api/version").headers["Date"]).timestamp()


def _check_parts() -> None:
    try:
        importlib.import_module("aiohttp")
    except ImportError as error:
        raise Refused("jobs: expected the package aiohttp; pip install 'regtune[cluster]'") from error


def _check_token() -> None:
    if not has_token():
        raise Refused(
            f"jobs: expected a token, given none; {REMEDY}, or set RAY_AUTH_MODE=disabled if the cluster has none"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Ray's client tells of its uploads and sockets off the screen, which is for answers."""
    levels = {handler: handler.level for handler in logging.getLogger("ray").handlers}
    for handler in levels:
        handler.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for handler, level in levels.items():
            handler.setLevel(level)


@contextlib.contextmanager
def _refusals(address: str) -> Iterator[None]:
    """Say what Ray's client raises as a refusal."""
    try:
        yield
    except AuthenticationError as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise Refused(f"--address {address}: {reason}; {REMEDY}") from error
    except (requests.RequestException, ConnectionError) as error:
        raise Refused(
            f"--address {address}: expected a Ray job server, but {_reason(error)}; is the head up (ray start --head), "
            "and its port forwarded (ssh -L 8265:127.0.0.1:8265 HEAD)?"
        ) from error
    except RuntimeError as error:  # what Ray's client raises for every answer that it did not hope for
        raise Refused(f"--address {address}: {shown(str(error), 300)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return f"none answered within {SECONDS_TO_ANSWER:.0f} s"
    if isinstance(error, requests.ConnectionError | ConnectionError):
        return "none can be reached"
    return shown(str(error), 200)
