"""Reading a sweep file: what is said of one that has another shape, or settings that do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from regtune.core.errors import Refused, nearest, shown
from regtune.sweep.layers import layered
from regtune.sweep.schema import MAX_SEED, SweepFile


def read_file(source: Path, changes: Sequence[str] = ()) -> SweepFile:
    """Return the contents of a sweep file, see `layers`; raises Refused in one line with path, expectation, value."""
    raw = layered(source, changes)
    try:
        file = SweepFile.model_validate(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        # A misspelt name is an unknown setting and a missing one; the first says more.
        raise Refused(_one_line(min(faults, key=lambda fault: fault["type"] != "extra_forbidden"))) from error
    if file.select.most < file.select.candidates:
        raise Refused(
            f"select.most: expected at least select.candidates, {file.select.candidates}, given {file.select.most}"
        )
    if file.confirm.racing and file.confirm.seeds < file.confirm.first:
        raise Refused(
            f"confirm.seeds: expected at least confirm.first, {file.confirm.first}, with racing, "
            f"given {file.confirm.seeds}"
        )
    if file.seed + file.search.repeats - 1 > MAX_SEED:
        raise Refused(
            f"search.repeats: expected at most {MAX_SEED + 1 - file.seed} with seed = {file.seed}: each takes the next "
            f"seed, up to {MAX_SEED}; given {file.search.repeats}; lower seed"
        )
    return file.model_copy(update={"plugins": [*dict.fromkeys([*file.plugins, *modules_of(file)])]})


def modules_of(file: SweepFile) -> list[str]:
    """Return the modules of the user's that a sweep file takes things from without calling them plugins.

    They are plugins all the same: found beside the file, part of what a log compares, sent to workers, and refused by
    a service that does not allow them.
    """
    path = file.network.get("path") if file.network.get("name") == "module" else None
    module = path.partition(":")[0] if isinstance(path, str) else ""
    return [module] if module else []


def _one_line(error: ErrorDetails) -> str:
    """Say a pydantic error as path, expectation, value and the nearest valid name."""
    location = [str(part) for part in error["loc"]]
    path = ".".join(location)
    if error["type"] == "extra_forbidden":
        table: Any = getattr(SweepFile.model_fields.get(location[0]), "annotation", None)
        table = table if isinstance(table, type) and issubclass(table, BaseModel) else SweepFile
        return f"{path}: unknown setting{nearest(location[-1], table.model_fields)}"
    if error["type"] == "missing":
        return f"{path}: expected this setting, given nothing"
    words = error["msg"][0].lower() + error["msg"][1:].replace("True, False", "true, false")  # as TOML has them
    return f"{path}: expected {words.removeprefix('input should be ')}, given {shown(error['input'])}"
