"""An option whose value may be left out, which Typer does not have: `--published`, or `--published NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperCommand

PUBLISHED = "--published"


class WithPublished(TyperCommand):
    """A command with `--published [NAME]`; without a name its value is empty."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Typer's own class of contexts is not public
        """Parse the words of the command line.

        What stands behind the option is its name, unless it is another option, or a folder that is there:
        `--published results/quickstart` means that folder.
        """
        return super().parse_args(ctx, named(args))


def named(args: list[str]) -> list[str]:
    """Return the words in which each `--published` without a name has an empty one."""
    words: list[str] = []
    for word, following in zip(args, [*args[1:], ""], strict=True):
        alone = not following or following.startswith("-") or Path(following).exists()
        words.append(f"{PUBLISHED}=" if word == PUBLISHED and alone else word)
    return words
