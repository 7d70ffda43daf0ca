"""A folder is a registry: every class in it that extends the registry's base is found by its name.

Nothing registers itself: a look-up imports the folder's modules, then the plugin modules that it was given, and
collects. A thing's name is its class name in snake case (`MaxNorm` is
`max_norm`), or its `label` where it sets one.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, is_dataclass
from typing import Any, Generic, TypeVar

from regtune.core.errors import Refused, nearest, shown
from regtune.core.knobs import read_settings
from regtune.core.plugins import import_plugin

T = TypeVar("T")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def name_of(cls: type) -> str:
    """Return the name under which sweep files know a class."""
    label = cls.__dict__.get("label")
    return label if isinstance(label, str) else _WORD.sub("_", cls.__name__).lower()


@dataclass(frozen=True, kw_only=True)
class Registry(Generic[T]):
    """The things of one kind: `package` is their folder, `base` their class, `noun` their word."""

    package: str
    base: type[T]
    noun: str

    def all(self, plugins: Iterable[str] = ()) -> dict[str, type[T]]:
        """Return every thing by name, sorted; raises Refused if two share a name."""
        plugins = [*plugins]
        return dict(self._collected([*self._modules(), *map(import_plugin, plugins)]) if plugins else self._own)

    @functools.cached_property
    def _own(self) -> dict[str, type[T]]:
        """What is in the folder: it is looked through once, since every trial asks for its methods."""
        return self._collected(self._modules())

    def _modules(self) -> list[object]:
        package = importlib.import_module(self.package)
        return [
            importlib.import_module(f"{self.package}.{module.name}")
            for module in pkgutil.iter_modules(package.__path__)
            if not module.name.startswith("_")
        ]

    def _collected(self, modules: Iterable[object]) -> dict[str, type[T]]:
        found: dict[str, type[T]] = {}
        for module in modules:
            for cls in vars(module).values():
                if not self._belongs(cls, module):
                    continue
                if self._undecorated(cls):
                    where = f"{cls.__module__}.{cls.__name__}"
                    raise Refused(f"{where}: expected @dataclass(frozen=True, kw_only=True) above the class")
                name = name_of(cls)
                if found.setdefault(name, cls) is not cls:
                    raise Refused(
                        f"{cls.__module__}.{cls.__name__}: a {self.noun} called {name!r} exists in "
                        f"{found[name].__module__}; give the class another name"
                    )
        return dict(sorted(found.items()))

    def find(self, name: object, where: str, plugins: Iterable[str] = ()) -> type[T]:
        """Return the thing called `name`; raises Refused with the nearest name."""
        things = self.all(plugins)
        if not isinstance(name, str) or name not in things:
            raise Refused(f"{where}: unknown {self.noun} {shown(name)}{nearest(name, things)}")
        return things[name]

    def _undecorated(self, cls: type) -> bool:
        """Return whether a class declares fields that nothing makes into fields."""
        if not is_dataclass(self.base) or "__dataclass_params__" in vars(cls):
            return False
        fields = [hint for hint in inspect.get_annotations(cls).values() if "ClassVar" not in str(hint)]
        return bool(fields) or any(isinstance(value, Field) for value in vars(cls).values())

    def build(self, row: Mapping[str, Any], where: str, plugins: Iterable[str] = ()) -> T:
        """Return the value that a row describes, `name` and settings; raises Refused, which names `where`."""
        cls = self.find(row["name"], f"{where}.name", plugins)
        return cls(**read_settings(cls, {key: value for key, value in row.items() if key != "name"}, where))

    def _belongs(self, cls: object, module: object) -> bool:
        return (
            inspect.isclass(cls)
            and issubclass(cls, self.base)
            and cls is not self.base
            and not inspect.isabstract(cls)
            and f"{cls.__module__}.".startswith(f"{getattr(module, '__name__', None)}.")
        )
