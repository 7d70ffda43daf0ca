"""What the log's header says of the ground a sweep stood on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from regtune.core.records import Plain
from regtune.core.sources import hash_of
from regtune.core.version import PACKAGE, __version__

PACKAGES = ("torch", "ray", "optuna", "numpy", "pandas", "scikit-learn", "torchvision")


def describe() -> Plain:
    """Return versions, commit, a hash of regtune's own sources, and machine as a plain row."""
    return {
        "regtune": __version__,
        "commit": _commit(),
        "code": hash_of(PACKAGE)[:16],
        "python": platform.python_version(),
        "packages": versions(),
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "cpus": os.cpu_count(),
            "gpus": _printed("nvidia-smi", "--query-gpu=name", "--format=csv,noheader"),
        },
    }


def versions() -> dict[str, str | None]:
    """Return the versions of the packages that matter here, None for one that is missing."""
    return {name: _version(name) for name in PACKAGES}


def release() -> str:
    """Return the versions of what decides how a sweep runs, in a line; nothing is imported for it."""
    others = {"torch": "torch", "Ray": "ray", "Optuna": "optuna"}
    found = [f"{word} {_version(name) or 'not installed'}" for word, name in others.items()]
    return f"regtune {__version__} ({', '.join([f'Python {platform.python_version()}', *found])})"


def where() -> dict[str, str]:
    """Return what an attempt at a trial says of the place it runs in."""
    return {"host": platform.node(), "processor": _processor(), "torch": _version("torch") or "", "node": ""}


def differences(then: Plain, now: Plain) -> list[str]:
    """Return what decides the bits of a trial and is not the same, in words."""
    pairs = {
        "torch": (then["packages"]["torch"], now["packages"]["torch"]),
        **{name: (then["machine"][name], now["machine"][name]) for name in ("processor", "architecture", "gpus")},
        "regtune": (then["regtune"], now["regtune"]),
        "commit": (then["commit"], now["commit"]),
    }
    return [f"{name} was {a}, is {b}" for name, (a, b) in pairs.items() if a != b]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout that regtune runs from, None for an installed wheel."""
    if not (PACKAGE.parent / ".git").exists():
        return None
    return _printed("git", "-C", str(PACKAGE), "describe", "--always", "--dirty", "--abbrev=40")


def _printed(*command: str) -> str | None:
    """Return what a command prints, None where it is missing or fails."""
    try:
        result = subprocess.run(  # noqa: S603 - fixed arguments
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError:
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None


def _processor() -> str:
    """Return the processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
