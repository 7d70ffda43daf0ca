"""Where a trial is trained now, and what of that differs from what the header of a log says."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from regtune.core.records import Json, Trial
from regtune.core.registry import name_of
from regtune.core.sources import changed_modules, plugin_fingerprint
from regtune.data import Pool, data_fingerprint
from regtune.storage.environment import describe, environment_changes, location, stood
from regtune.training.recipe import Recipe


def place_for(device: str) -> dict[str, str]:
    """Return what an attempt at a trial for a device, "cpu" or "cuda", says of this place."""
    return location(torch.cuda.get_device_name() if device != "cpu" and torch.cuda.is_available() else None)


def environment_for(device: str) -> Json:
    """Return the header that a log would have of a trial for a device that is trained here, without its sweep."""
    return stood(describe(), place_for(device), device)


def data_identity(pool: Pool, trials: Iterable[Trial]) -> Json:
    """Return what a header says of the data: their fingerprint, and hashes of what methods read beside them, if any."""
    read = {
        f"{name_of(type(method))} {what}": seal
        for trial in trials
        for _, method in Recipe.read(trial.recipe, trial.plugins).methods
        for what, seal in method.reads().items()
    }
    return {"data": data_fingerprint(pool), **({"read": read} if read else {})}


def data_changes(header: Json, now: Json) -> list[str]:
    """Return in words what differs between the data of a header and those that `data_identity` found now."""
    found = ["the data are others"] if "data" in header and header["data"] != now["data"] else []
    before, after = header.get("read", {}), now.get("read", {})
    return found + [f"{what} is another one" for what in before if after.get(what, before[what]) != before[what]]


def environment_changes_since(header: Json, trial: Trial, pool: Pool) -> list[str]:
    """Return in words what decides a trial's numbers and has changed since a header, see `environment.stood`."""
    found = environment_changes(header, environment_for(trial.device))
    plugins = header["sweep"].get("plugins", {})
    for name in trial.plugins:
        if modules := changed_modules(name, plugins.get(name, ""), plugin_fingerprint(name)):
            found.append(f"plugin {name} was changed in {', '.join(modules)}")
    return found + data_changes(header, data_identity(pool, [trial]))
