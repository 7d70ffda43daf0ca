"""Which published tables belong to a sweep: by the names of its arms, its data, and how these were corrupted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regtune.core.errors import Refused, nearest, shown
from regtune.core.records import Json
from regtune.reports.published.reading import Corruption, Figure, Part, PublishedTable, published_tables
from regtune.results.loader import Results

PIXELS: Mapping[str, Corruption] = {
    "shuffled": "shuffled pixels",
    "random": "random pixels",
    "gaussian": "gaussian pixels",
}
MANY = 4  # arms that a table shares with a sweep on other data, so that it is a comparison of the same methods


@dataclass(frozen=True, kw_only=True)
class Match:
    """The part of a published table that is closest to a sweep; a part shares an arm at least with its sweep."""

    table: PublishedTable
    part: Part
    results: Results

    @property
    def arms(self) -> list[str]:
        """The arms of the sweep that have a published figure, in their order."""
        mine = {arm_of(figure, self.results) for figure in self.part.figures}
        return [arm for arm in self.results.sweep.arms if arm in mine]

    @property
    def is_enough(self) -> bool:
        """Whether two arms are shared, or as many as there are: one alone says little of a comparison."""
        named = {figure.arms for figure in self.part.figures if figure.arms}
        return len(self.arms) >= min(2, len(self.results.sweep.arms), len(named))


def matches(results: Results, name: str) -> list[Match]:
    """Return the published tables to be set beside a sweep: the one of a name, or for "" those whose arms match.

    Raises Refused where there is none.
    """
    if name:
        known = published_tables()
        if name not in known:
            raise Refused(f"--published: unknown published table {shown(name)}{nearest(name, known)}")
        return [_named(known[name], results)]
    found = all_that_match(results)
    if not found:
        raise Refused(
            f"--published: expected arms of a published table, given {results.sweep.name} with "
            f"{shown(', '.join(results.sweep.arms))} on {corruption_words(_data(results))}; docs/results.md lists all"
        )
    return found


def all_that_match(results: Results) -> list[Match]:
    """Return the published tables whose arms match those of a sweep; none where none does.

    Those on other data count where they share many arms, or where none is on the same.
    """
    tables = published_tables().values()
    found = [match for table in tables if (match := closest(table, results)) and match.is_enough]
    near = [match for match in found if same_data(match.part, _data(results)) or len(match.arms) >= MANY]
    return near or found


def closest(table: PublishedTable, results: Results) -> Match | None:
    """Return the part that is closest to a sweep: by its data, then by its network, then the first; None without one.

    Data that are corrupted otherwise are not comparable at all: such a part is none.
    """
    data = _data(results)
    fitting = [
        part
        for part in table.parts
        if part.corruption in ("any", corruption(data)) and any(arm_of(each, results) for each in part.figures)
    ]
    network = results.sweep.template["network"]
    best = max(fitting, key=lambda part: (same_data(part, data), same_network(part, network)), default=None)
    return None if best is None else Match(table=table, part=best, results=results)


def _named(table: PublishedTable, results: Results) -> Match:
    found = closest(table, results)
    if found is None:
        arms = dict.fromkeys(arm for part in table.parts for figure in part.figures for arm in figure.arms)
        kinds = dict.fromkeys(
            corruption_words({}) if part.corruption == "none" else part.corruption for part in table.parts
        )
        given = (
            f"{results.sweep.name} with {shown(', '.join(results.sweep.arms))} on {corruption_words(_data(results))}"
        )
        raise Refused(
            f"--published {table.name}: expected one of the arms {shown(', '.join(arms))} on {' or '.join(kinds)}, "
            f"given {given}"
        )
    return found


def arm_of(figure: Figure, results: Results) -> str | None:
    """Return the arm of a sweep that a figure belongs to: of the names that it may have, the first that is there."""
    return next((arm for arm in figure.arms if arm in results.sweep.arms), None)


def corruption(data: Json) -> Corruption:
    """Return how the data of a sweep are corrupted."""
    if (pixels := data.get("pixels", "true")) != "true":
        return PIXELS[pixels]
    noise = data.get("label_noise", 0.0)
    if noise == 0:
        return "none"
    return "random labels" if noise == 1 else "partly random labels"


def corruption_words(data: Json) -> str:
    """Return the same in words."""
    found = corruption(data)
    return "data as they are" if found == "none" else found


def same_data(part: Part, data: Json) -> bool:
    """Return whether a part is on the data set of a sweep, or the sweep on a copy of it, which its path names."""
    return data["name"] in part.data_is or _of_path(part.data_is, str(data.get("path", "")).lower())


def _of_path(names: Sequence[str], path: str) -> bool:
    # cifar10 is the beginning of cifar100, and mnist the end of fashion_mnist
    digits = {name: path.partition(name)[2][:1].isdigit() for name in names}
    return any(name in path and not digits[name] and f"fashion_{name}" not in path for name in names)


def same_network(part: Part, network: Json) -> bool:
    """Return whether the network of a sweep is that of a part."""
    return bool(part.network_is) and all(network.get(knob) == value for knob, value in part.network_is.items())


def _data(results: Results) -> Json:
    return results.counted_data
