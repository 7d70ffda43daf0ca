"""What the log's header says of the ground a sweep stood on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from regtune import __version__
from regtune.records import Plain

PACKAGES = ("torch", "ray", "optuna", "numpy", "pandas", "scikit-learn", "torchvision")


def describe() -> Plain:
    """Return versions, commit and machine as a plain row."""
    return {
        "regtune": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "cpus": os.cpu_count(),
        },
    }


def differences(then: Plain, now: Plain) -> list[str]:
    """Return what decides the bits of a trial and is not the same: torch and the processor."""
    pairs = {
        "torch": (then["packages"]["torch"], now["packages"]["torch"]),
        "processor": (then["machine"]["processor"], now["machine"]["processor"]),
        "architecture": (then["machine"]["architecture"], now["machine"]["architecture"]),
        "regtune": (then["regtune"], now["regtune"]),
    }
    return [f"{name} was {a}, is {b}" for name, (a, b) in pairs.items() if a != b]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout that regtune runs from, None for an installed wheel."""
    folder = Path(__file__).resolve().parent
    if not (folder.parent / ".git").exists():
        return None
    result = subprocess.run(  # noqa: S603 - fixed arguments
        ["git", "-C", str(folder), "rev-parse", "HEAD"],  # noqa: S607 - whichever git the user has
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() or None


def _processor() -> str:
    """Return the processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
