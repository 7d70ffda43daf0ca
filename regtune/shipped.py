"""The sweep files that come with regtune."""

from __future__ import annotations

from pathlib import Path


def sweep_files() -> list[Path]:
    """Return the shipped sweep files, from the wheel or from the checkout."""
    here = Path(__file__).resolve().parent
    # The build puts `sweeps/` into the package; an editable install sees it beside the package.
    folder = here / "sweeps" if (here / "sweeps").is_dir() else here.parent / "sweeps"
    return sorted(folder.glob("*.toml"))
