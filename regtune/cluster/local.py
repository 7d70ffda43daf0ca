"""A private Ray cluster on this machine, and a phase run on it as real Ray Tune trials."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator

import ray
from ray import tune
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled, no stubs

from regtune.cluster.adapters import PhaseScheduler, PhaseSearcher
from regtune.cluster.shipment import Shipment
from regtune.cluster.worker import work
from regtune.data import Pool, Splits
from regtune.errors import Refused
from regtune.phase import Phase
from regtune.pruners import rungs
from regtune.shelf import plugin_path
from regtune.sweep import Sweep

SETTINGS = {
    "RAY_AUTH_MODE": "token",  # Ray would otherwise decide by what it finds in the home directory
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer reporter prints boxes even when asked to be silent
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # else Ctrl-C would end search quietly and confirm would begin
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without a GPU sees none
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # our log is the truth; Tune's snapshots are never read
}


@contextlib.contextmanager
def local_ray(sweep: Sweep) -> Iterator[None]:
    """Start Ray on this machine's loopback for one sweep.

    The cluster is closed to others by a token that lives in this process and its children only. Raises
    Refused where not even one trial fits.
    """
    present = _present_cpus()
    slots = present // sweep.cluster.cpus_per_trial
    if slots < 1:
        raise Refused(
            f"cluster.cpus_per_trial: expected at most the {present} CPUs of this machine, "
            f"given {sweep.cluster.cpus_per_trial}"
        )
    token = {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with _environment(SETTINGS | token | {"TUNE_MAX_PENDING_TRIALS_PG": str(slots + 1)}):
        ray.init(
            address="local",
            num_cpus=present,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address="127.0.0.1",
            runtime_env=_shipped(sweep),
        )
        try:
            share = sweep.cluster.gpus_per_trial
            if share > ray.cluster_resources().get("GPU", 0):
                raise Refused("cluster.gpus_per_trial: expected 0, this machine has no GPU that Ray can see")
            yield
        finally:
            ray.shutdown()


def run_on_ray(phase: Phase, sweep: Sweep, data: Splits | Pool) -> None:
    """Run what is left of a phase as Tune trials on the cluster that is up; a pool is for splits of their own."""
    trainable = tune.with_parameters(
        work, shipment=Shipment.pack(data), rungs=rungs(sweep.training.epochs, sweep.search)
    )
    resources = {"cpu": float(sweep.cluster.cpus_per_trial), "gpu": sweep.cluster.gpus_per_trial}
    with tempfile.TemporaryDirectory(prefix="regtune-") as scratch:
        tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=PhaseSearcher(phase),
                scheduler=PhaseScheduler(phase),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(name="phase", storage_path=scratch, verbose=0),
        ).fit()


def _present_cpus() -> int:
    """Return the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shipped(sweep: Sweep) -> dict[str, list[str]] | None:
    """Return the runtime environment that carries the sweep's plugin modules to the workers."""
    files = [str(plugin_path(name)) for name in sweep.arms[0].template.plugins]
    return {"py_modules": files} if files else None


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    _reread()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _reread()


def _reread() -> None:
    """Let Ray see the environment again: it reads its auth settings once, when it is imported."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
