"""The sweep files that come with regtune."""

from __future__ import annotations

from pathlib import Path

from regtune.core.version import PACKAGE


def sweep_files() -> list[Path]:
    """Return the shipped sweep files, from the wheel or from the checkout."""
    # The build puts `sweeps/` into the package; an editable install sees it beside the package.
    folder = PACKAGE / "sweeps" if (PACKAGE / "sweeps").is_dir() else PACKAGE.parent / "sweeps"
    return sorted(folder.glob("*.toml"))
