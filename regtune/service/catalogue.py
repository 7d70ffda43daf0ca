"""What a sweep file may name: what a form is made from."""

from __future__ import annotations

import threading
from typing import Literal

from pydantic import BaseModel, Field, TypeAdapter

from regtune.core.errors import nearest, shown
from regtune.core.records import Json
from regtune.service.problems import Denied
from regtune.service.worker import Ask

Kind = Literal["regularizers", "data", "networks", "optimizers", "samplers", "pruners"]


class Entry(BaseModel):
    """A method, data set, network, optimizer, sampler or pruner."""

    name: str = Field(description="as sweep files name it")
    summary: str = Field(description="the first paragraph of its card")
    knobs: Json = Field(
        description="JSON Schema of its settings. Beside the words of JSON Schema a setting has `x-search`, the range "
        "that is searched where a sweep file says nothing, and `x-neutral`, the value at which a method does nothing"
    )


class Catalogue:
    """All there is by kind, that of plugins too; made once, when it is first asked for."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._made: dict[Kind, list[Entry]] = {}

    def all(self) -> dict[Kind, list[Entry]]:
        """Return every entry, by kind."""
        with self._lock:
            if not self._made:
                self._made = TypeAdapter(dict[Kind, list[Entry]]).validate_python(self._ask({"do": "entries"}))
            return self._made

    def one(self, kind: Kind, name: str) -> Entry:
        """Return one entry; raises Denied, with the nearest name, where there is none."""
        found = {entry.name: entry for entry in self.all()[kind]}
        if name not in found:
            raise Denied(404, f"{kind}: expected one of the catalogue, given {shown(name)}{nearest(name, found)}")
        return found[name]
