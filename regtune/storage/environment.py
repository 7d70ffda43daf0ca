"""What the log's header says of the ground a sweep stood on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

from regtune.core.records import Json
from regtune.core.sources import hash_of
from regtune.core.version import PACKAGE, __version__

PACKAGES = ("torch", "ray", "optuna", "numpy", "pandas", "scikit-learn", "torchvision")
# What a machine is to a trial, by which its bits are the same on two of them. An attempt says the first two itself.
CLASS = ("torch", "processor", "architecture", "system", "gpus")
LANE = "lane"  # of the place of an attempt: the width of the lane that it was trained in, where that is not 1
CODE = ("regtune", "commit", "code")  # by which regtune is the same; old logs have no hash of its sources


def describe() -> Json:
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


def location(gpu: str | None = None) -> dict[str, str]:
    """Return what an attempt at a trial says of the place it runs in; `gpu` is the name of the one that it runs on."""
    return {"host": platform.node(), "processor": gpu or _processor(), "torch": _version("torch") or "", "node": ""}


def stood(header: Json, place: Mapping[str, str], device: str) -> Json:
    """Return a header as it would be of the place where an attempt at a trial for a device was made."""
    processor = place.get("processor")
    if device != "cpu" and processor == header["machine"]["processor"] and (gpus := header["machine"].get("gpus")):
        processor = gpus.splitlines()[0]  # trials in the process of the driver once said its CPU for their GPU
    return {
        **header,
        "packages": {**header["packages"], "torch": place.get("torch")},
        "machine": {**header["machine"], "processor": processor},
    }


def same_class(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> bool:
    """Return whether two machines, or two places of attempts, are of one class: a trial for a CPU has the same bits.

    Attempts in lanes of different widths are not.
    """
    return all(one.get(name) == other.get(name) for name in (*CLASS, LANE))


def machine_of(header: Json) -> dict[str, str | None]:
    """Return the machine of a header, what `CLASS` names."""
    known = {**header["machine"], "torch": header["packages"]["torch"]}
    return {name: known.get(name) for name in CLASS}


def environment_changes(then: Json, now: Json) -> list[str]:
    """Return what decides the bits of a trial and is not the same under two headers, in words."""
    one, other = ({**machine_of(each), **{name: each[name] for name in CODE if name in then}} for each in (then, now))
    return [f"{name} was {one[name]}, is {other[name]}" for name in one if one[name] != other[name]]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout that regtune runs from, "-dirty" where files differ, None for a wheel.

    Asked like this git writes nothing into it; `describe --dirty` would renew its index.
    """
    if not (PACKAGE.parent / ".git").exists():
        return None
    git = ("git", "--no-optional-locks", "-C", str(PACKAGE))
    commit = _printed(*git, "describe", "--always", "--abbrev=40")
    changed = _printed(*git, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if commit and changed else commit


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
