"""A sweep as one chapter of a page of several: its sections and figures under names that no other chapter has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from regtune.reports.figures.catalog import Figure, drawn
from regtune.reports.page.sections import Section, sections
from regtune.results.loader import Results


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """The sections of one sweep, and all their figures."""

    id: str
    title: str
    facts: str
    sections: Sequence[Section]
    figures: Sequence[Figure]


def chapter(repeats: Sequence[Results], *, title: str, slug: str, facts: str) -> Chapter:
    """Return the sections of a sweep, given as its repeats.

    `slug` begins the names of its figures, which become files, and its anchors.
    """
    figures = [replace(figure, name=f"{slug}-{figure.name}") for figure in drawn(repeats[0])]
    anchor = f"sweep-{slug}"
    named = [replace(section, id=f"{anchor}-{section.id}") for section in sections(repeats, figures)]
    return Chapter(id=anchor, title=title, facts=facts, sections=named, figures=figures)
