"""All of Ray's private names that regtune uses: where a release of Ray moves one, this file changes, and no other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ray._private import ray_constants, state, utils, worker
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled, no stubs

NICENESS: str = ray_constants.RAY_WORKER_NICENESS  # the variable that says at which niceness workers run


def reload_settings() -> None:
    """Have Ray read its settings and its token again, which it does once, when it is imported."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def has_token() -> bool:
    """Return whether Ray finds a token for a cluster that asks for one."""
    return bool(AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True))


def node_of_actor(actor: str) -> str:
    """Return the id of the node that an actor runs on or ran on; "" where that is not known.

    Ray's public API says it of actors that live.
    """
    row: Mapping[str, Any] = state.actors(actor)
    return str(row.get("Address", {}).get("NodeID", ""))


def connect() -> Callable[..., None]:
    """Return Ray's step of `ray.init` in which its C++ takes signals over."""
    step: Callable[..., None] = worker.connect
    return step


@contextlib.contextmanager
def replaced(
    *,
    listen_error_messages: Callable[..., None] | None = None,
    set_sigterm_handler: Callable[..., None] | None = None,
    connect: Callable[..., None] | None = None,
    cluster_enabled: bool | None = None,
) -> Iterator[None]:
    """Have functions of Ray's be others while the block runs; there is no setting for these.

    `listen_error_messages` is the thread that prints errors of workers, `set_sigterm_handler` what installs Ray's
    handler of SIGTERM, `connect` the step of `connect()`. Where `cluster_enabled` is False, a Ray that starts listens
    to this machine only.
    """
    wanted = [
        (worker, "listen_error_messages", listen_error_messages),
        (utils, "set_sigterm_handler", set_sigterm_handler),
        (worker, "connect", connect),
        (ray_constants, "ENABLE_RAY_CLUSTER", cluster_enabled),
    ]
    before = [(module, name, getattr(module, name)) for module, name, value in wanted if value is not None]
    try:
        for module, name, value in wanted:
            if value is not None:
                setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
