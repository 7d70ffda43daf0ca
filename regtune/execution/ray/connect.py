"""The way to a Ray cluster: a private one on this machine, or one that runs already."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Callable, Iterator

import ray
from ray.exceptions import AuthenticationError

from regtune.core.errors import Refused, shown
from regtune.core.sources import shipped_paths
from regtune.core.version import PACKAGE
from regtune.execution.ray.env_vars import environment
from regtune.execution.ray.nodes import Need, capacity, check_versions
from regtune.execution.ray.starting import driver_niceness, on_loopback, unassuming
from regtune.sweep.sweep import Sweep

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer reporter prints boxes even when asked to be silent
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # else Ctrl-C would end search quietly and confirm would begin
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without a GPU sees none
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # our log is the truth; Tune's snapshots are never read
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",  # how many wait is decided by PhaseSearcher
    "TUNE_FORCE_TRIAL_CLEANUP_S": "10",  # a worker that does not end when asked is killed
}
SECONDS_TO_CONNECT = 10.0
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set where a job was submitted: its own environment ships what is needed


def cluster(sweep: Sweep, address: str | None, say: Callable[[str], None]) -> contextlib.AbstractContextManager[None]:
    """Return the connection to the cluster at an address, or to a private one without."""
    return _private(sweep) if address is None else _joined(sweep, address, say)


@contextlib.contextmanager
def _private(sweep: Sweep) -> Iterator[None]:
    """Start Ray on this machine's loopback for one sweep.

    The cluster is closed to others by a token that lives in this process and its children only. Raises
    Refused where not even one trial fits, or where Ray does not start.
    """
    present = _present_cpus()
    if present < sweep.cluster.cpus_per_trial:
        raise Refused(
            f"cluster.cpus_per_trial: expected at most the {present} CPUs of this machine, "
            f"given {sweep.cluster.cpus_per_trial}"
        )
    if sweep.cluster.labels:
        raise Refused(
            "cluster.labels: expected none on this machine alone; give --address of a cluster, or remove them"
        )
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with environment(SETTINGS | driver_niceness() | token):
        try:
            with on_loopback(), unassuming():
                _start(sweep, present)
            if sweep.cluster.gpus_per_trial > ray.cluster_resources().get("GPU", 0):
                raise Refused("cluster.gpus_per_trial: expected 0, this machine has no GPU that Ray can see")
            yield
        finally:
            ray.shutdown()


def _start(sweep: Sweep, cpus: int) -> None:
    """Start Ray's processes; raises Refused where they do not come up."""
    shipped = _shipped(_plugins(sweep))
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
            runtime_env=shipped,
        )
    except Exception as error:  # Ray raises no class of its own where its processes took too long
        text = " ".join(str(error).split())[:300]
        raise Refused(
            f"cluster: expected Ray to start on this machine, given: {text}; when the machine is less busy run the "
            f"same command again, which resumes, or add --in-process to train without Ray"
        ) from error


@contextlib.contextmanager
def _joined(sweep: Sweep, address: str, say: Callable[[str], None]) -> Iterator[None]:
    """Join the cluster at "auto" or host:port for one sweep. Raises Refused where that cannot be done.

    Its nodes need no regtune: this one travels with the sweep.
    """
    if "://" in address:
        raise Refused(
            f"--address: expected auto or host:port of a cluster that this machine belongs to, given {address}; "
            f"from elsewhere use regtune submit"
        )
    shipped = [] if JOB in os.environ else [str(PACKAGE), *_plugins(sweep)]
    _check_reachable(address)
    # Ray would otherwise decide by what it finds in the home directory.
    mode = {"RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")}
    with environment(SETTINGS | mode):
        try:
            with unassuming():
                ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env=_shipped(shipped))
        except (ConnectionError, RuntimeError, ValueError, AuthenticationError) as error:
            text = " ".join(str(error).split())[:300]
            raise Refused(
                f"--address {address}: expected a Ray cluster that lets this machine in, given: {text}"
            ) from error
        try:
            need = Need.of(sweep.cluster)
            check_versions(need)
            if not capacity(need):
                say(f"--address {address}: no node has room for a trial yet; trials wait for one that has")
            yield
        finally:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise Refused where nothing listens: Ray would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise Refused(f"--address: expected auto or host:port, given {shown(address)}")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise Refused(
            f"--address {address}: expected a Ray cluster, given {error}"
            f"; is its head up (ray start --head), and the port that of its GCS (6379)?"
        ) from error


def _present_cpus() -> int:
    """Return the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _plugins(sweep: Sweep) -> list[str]:
    return [str(path) for path in shipped_paths(sweep.arms[0].template.plugins)]


def _shipped(modules: list[str]) -> dict[str, list[str]] | None:
    """Return the runtime environment that carries modules to the workers."""
    return {"py_modules": modules} if modules else None
