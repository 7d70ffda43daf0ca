"""The files that a plugin consists of: it, and all of the user's own that it imports.

They are what it is told apart by, and what travels with it. Imports are read from the sources, those inside of
functions too, since they may be carried out on a worker only; a name that is put together at run time is not seen.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from regtune.core.errors import Refused
from regtune.core.own_code import is_own
from regtune.core.plugins import import_plugin, spec_of


def plugin_path(name: str) -> Path:
    """Return the file of a user's module, or the folder of the package that it is in."""
    file = getattr(import_plugin(name.partition(".")[0]), "__file__", None)
    if file is None:
        raise Refused(f"plugin {name}: expected a module or package with a file, given a namespace")
    path = Path(file)
    return path.parent if path.name == "__init__.py" else path


def plugin_paths(name: str) -> dict[str, Path]:
    """Return the files and package folders of a plugin by the names of their modules, its own first."""
    top = name.partition(".")[0]
    found, waiting, seen = {top: plugin_path(name)}, [name], set[str]()
    while waiting:
        module = waiting.pop()
        parents = module.split(".")
        for count in range(1, len(parents) + 1):
            part = ".".join(parents[:count])
            if part in seen:
                continue
            seen.add(part)
            path = _source(part)
            if path is None or not (parents[0] == top or is_own(path)):
                break
            found.setdefault(parents[0], path.parent if path.name == "__init__.py" else path)
            if path.suffix == ".py":
                waiting += _imports(path, part)
    return found


def shipped_paths(names: Iterable[str]) -> list[Path]:
    """Return what has to travel for these plugins, each once."""
    return list(dict.fromkeys(path for name in names for path in plugin_paths(name).values()))


def plugin_fingerprint(name: str) -> str:
    """Return a hash of the sources of a user's module, a package's files included.

    Behind it, `name=hash` for each other module that it pulls in: see `same_sources`.
    """
    own, *others = plugin_paths(name).items()
    return " ".join([hash_of(own[1])[:16], *(f"{top}={hash_of(path)[:8]}" for top, path in sorted(others))])


def same_sources(before: str, now: str) -> bool:
    """Return whether a fingerprint is that of an earlier log; there it may be of the plugin's own file alone."""
    return before == now or (" " not in before and now.startswith(f"{before} "))


def changed_modules(name: str, before: str, now: str) -> list[str]:
    """Return the modules, its own by its name, in which two fingerprints of a plugin differ."""
    if same_sources(before, now):
        return []
    one, other = (dict(_sealed(name, part) for part in text.split()) for text in (before, now))
    return [module for module in sorted({**one, **other}) if one.get(module) != other.get(module)]


def _sealed(name: str, part: str) -> tuple[str, str]:
    """Return a part of a fingerprint as a module and the hash of its sources."""
    module, _, seal = part.rpartition("=")
    return module or name, seal


def hash_of(path: Path) -> str:
    """Return a hash of a file, or of all Python files of a folder."""
    digest = hashlib.sha256()
    for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _source(module: str) -> Path | None:
    """Return the file of a module, the folder of a namespace, None for what has neither."""
    spec = spec_of(module)
    if spec is None:
        return None
    if spec.origin is not None:
        path = Path(spec.origin)
        return path if path.is_file() else None
    return next((Path(folder) for folder in spec.submodule_search_locations or ()), None)


def _imports(path: Path, module: str) -> Iterator[str]:
    """Yield what a source imports, by full names; what is imported from a module may be one too."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # its importer will hear of it
        return
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
