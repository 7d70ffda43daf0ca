"""What Ray reads from the environment, set for a while and put back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from regtune.execution.ray.private import reload_settings


@contextlib.contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables (None: take away) while the block runs; Ray sees the change and the way back."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    reload_settings()
