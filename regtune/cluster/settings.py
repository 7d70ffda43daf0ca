"""Ray's settings while regtune uses it, and nothing of them left behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled, no stubs

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


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs, and let Ray see them."""
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
    """Let Ray read the environment again: it reads its auth settings once, when it is imported."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
