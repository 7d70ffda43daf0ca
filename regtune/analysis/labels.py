"""What sweeps are called where several are shown: by their names, and by more where two have the same name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from regtune.core.records import Json
from regtune.results.loader import Results


def labels(sweeps: Sequence[Results]) -> list[str]:
    """Return a label for each sweep; no two are alike.

    A name that several sweeps have gets network and data behind it, then the number of training examples too, then
    the folder, else a number before it: the first of these by which they all differ.
    """
    names = Counter(results.sweep.name for results in sweeps)
    for more in (_nothing, _pair, network_and_data, _and_folder):
        found = [
            f"{name} ({more(results)})" if names[name := results.sweep.name] > 1 and more(results) else name
            for results in sweeps
        ]
        if len(set(found)) == len(found):
            return found
    return [f"{number} {results.sweep.name}" for number, results in enumerate(sweeps, 1)]


def slugs(texts: Sequence[str]) -> list[str]:
    """Return for each label a name for files and anchors; no two are alike, also where case does not count."""
    found: list[str] = []
    for number, text in enumerate(texts, 1):
        slug = re.sub(r"[^a-z0-9_.]+", "-", text.lower()).strip("-.")[:60] or "sweep"
        while slug in found:
            slug += f"-{number}"
        found.append(slug)
    return found


def network_and_data(results: Results) -> str:
    """Return which network was trained on how much of which data, in a few words."""
    return f"{_pair(results)}, {data_and_network(results)['data']['train']} training examples"


def data_and_network(results: Results) -> Json:
    """Return data and network of a sweep with all their settings."""
    template = results.sweep.template
    return {"data": template["data"], "network": template["network"]}


def _nothing(results: Results) -> str:
    return ""


def _pair(results: Results) -> str:
    data = data_and_network(results)["data"]
    return (
        f"{data_and_network(results)['network']['name']} on {' '.join(filter(None, (data['name'], data.get('path'))))}"
    )


def _and_folder(results: Results) -> str:
    return f"{network_and_data(results)}, in {results.path.resolve().name}"
