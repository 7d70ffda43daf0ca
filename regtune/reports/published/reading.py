"""A published table as its file in `tables/` has it: where it stands, how it was measured, its figures."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MetricName = Literal[
    "test_error",
    "test_accuracy",
    "train_accuracy",
    "test_ece",
    "steps_to_fit",
    "parameters",
    "features",
    "localization",
    "detection",
]
Corruption = Literal[
    "none", "random labels", "partly random labels", "shuffled pixels", "random pixels", "gaussian pixels", "any"
]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)


class Figure(_Strict):
    """One figure with the digits that were published.

    `arms` are the names that arms of our sweeps have for it, the closest first; none where none has.
    """

    label: str
    arms: tuple[str, ...] = ()
    metric: MetricName
    value: Decimal
    spread: Decimal | None = None


class Part(_Strict):
    """Figures of one protocol; None for what is not stated where it was read.

    `network_is` are the settings that the same network has in a sweep, `data_is` the names of the same data set.
    `train` and `test` count examples, `runs` the trainings behind a figure, `aggregate` says how they became one.
    """

    network: str
    network_is: Mapping[str, Any] = Field(default_factory=dict)
    data: str
    data_is: tuple[str, ...] = ()
    corruption: Corruption = "none"
    train: int | None = Field(default=None, ge=1)
    test: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    updates: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=1)
    runs: int | None = Field(default=None, ge=1)
    aggregate: Literal["mean", "median"] | None = None
    epoch_rule: str | None = None
    notes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = Field(min_length=1)


class PublishedTable(_Strict):
    """A published table. `read_in` says where its figures were read, which is not always the paper itself."""

    name: str
    title: str
    source: str
    table: str
    read_in: str
    parts: tuple[Part, ...] = Field(min_length=1)

    @property
    def cited(self) -> str:
        """Where the figures stand, in one line."""
        return f"{self.source}, {self.table}"


@lru_cache(maxsize=1)
def published_tables() -> Mapping[str, PublishedTable]:
    """Return all published tables by name; the name is that of the file."""
    found = sorted((entry for entry in files(__package__).joinpath("tables").iterdir()), key=lambda entry: entry.name)
    texts = {entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8") for entry in found}
    return MappingProxyType({name: read_table(name, text) for name, text in texts.items()})


def read_table(name: str, text: str) -> PublishedTable:
    """Return the table that a file says; each part has what `[protocol]` says unless it says something else itself.

    Notes add up. Raises ValueError where something is missing or unknown.
    """
    content = tomllib.loads(text, parse_float=Decimal)
    common = content.pop("protocol", {})
    parts = [common | part | {"notes": [*common.get("notes", []), *part.get("notes", [])]} for part in content["parts"]]
    return PublishedTable.model_validate(content | {"name": name, "parts": parts})
