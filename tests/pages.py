"""The README and the pages of the site: their text, their fenced blocks, in the order in which they are read."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
NAV = [path for entry in SITE["nav"] for path in entry.values()]
PAGES = {"README.md": (ROOT / "README.md").read_text()} | {f"docs/{n}": (ROOT / "docs" / n).read_text() for n in NAV}
FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    """Return the blocks of a language, those of the README first."""
    return [text for page in PAGES.values() for name, text in FENCED.findall(page) if name == language]


def prose(page: str) -> str:
    """Return a page without its blocks."""
    return FENCED.sub("", PAGES[page])
