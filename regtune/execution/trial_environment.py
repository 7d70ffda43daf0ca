"""Where a trial is trained now, and what of that differs from what the header of a log says."""

from __future__ import annotations

import torch

from regtune.core.records import Json, Trial
from regtune.core.sources import changed_modules, plugin_fingerprint
from regtune.data import Pool, data_fingerprint
from regtune.storage.environment import describe, environment_changes, location, stood


def place_for(device: str) -> dict[str, str]:
    """Return what an attempt at a trial for a device, "cpu" or "cuda", says of this place."""
    return location(torch.cuda.get_device_name() if device != "cpu" and torch.cuda.is_available() else None)


def environment_for(device: str) -> Json:
    """Return the header that a log would have of a trial for a device that is trained here, without its sweep."""
    return stood(describe(), place_for(device), device)


def environment_changes_since(header: Json, trial: Trial, pool: Pool) -> list[str]:
    """Return in words what decides a trial's numbers and has changed since a header, see `environment.stood`."""
    found = environment_changes(header, environment_for(trial.device))
    plugins = header["sweep"].get("plugins", {})
    for name in trial.plugins:
        if modules := changed_modules(name, plugins.get(name, ""), plugin_fingerprint(name)):
            found.append(f"plugin {name} was changed in {', '.join(modules)}")
    if "data" in header and header["data"] != data_fingerprint(pool):
        found.append("the data are others")
    return found
