"""Where a user's modules are found: by name where Python looks, beside the sweep file, or by the path of their file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from regtune.core.errors import Refused, shown
from regtune.core.own_code import is_own, place_of
from regtune.core.signals import Interrupted, sigint_marked


def import_plugin(name: str) -> object:
    """Import a user's module by its dotted name; raises Refused where that fails, in whatever way."""
    if not all(name.split(".")) or "/" in name or name.endswith(".py"):
        raise Refused(
            f"plugin {shown(name)}: expected the name of a module, as 'shrink'; a file beside the sweep file is found "
            f"by it, any other is given as --plugin ./FILE.py"
        )
    try:
        with sigint_marked():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise Refused(
                f"plugin {name}: no module of that name; give its file (--plugin ./FILE.py), put it beside the sweep "
                f"file, start regtune in its folder or install it"
            ) from error
        raise Refused(f"plugin {name}: it imports {error.name}, which is not installed") from error
    except Interrupted:
        raise
    except BaseException as error:
        # A user's module may fail in any way while it is imported; its words are passed on, with their place.
        place = f" ({found})" if (found := place_of(error)) else ""
        raise Refused(f"plugin {name}: {type(error).__name__}: {shown(str(error), 200)}{place}") from error


def name_of_plugin(given: str) -> str:
    """Return the name of the module that a user gave, by its name or by the path of its file or package.

    One given by its path is imported from there, and what lies beside it can be imported too. Raises Refused.
    """
    if not given.endswith(".py") and "/" not in given:
        return given
    path = Path(given).absolute()
    name = path.name if path.is_dir() else path.stem
    source = path / "__init__.py" if path.is_dir() else path
    if not source.is_file() or source.suffix != ".py":
        raise Refused(f"plugin {shown(given)}: expected a Python file or a package (a folder with __init__.py)")
    if name == "__init__":
        path, name = path.parent, path.parent.name
    folder = path.parent
    while (folder / "__init__.py").is_file():  # of a package, whose relative imports need its name
        folder, name = folder.parent, f"{folder.name}.{name}"
    if not all(part.isidentifier() for part in name.split(".")):
        raise Refused(f"plugin {shown(given)}: expected a file called like a module, of letters, digits and _")
    _look_in(folder)
    _check_only(name, source, f"{given}: expected a file whose name no other module has")
    import_plugin(name)
    return name


def find_beside(names: Iterable[str], folder: Path) -> None:
    """Have modules found that lie in a folder, that of the sweep file; raises Refused where there are other ones.

    A module of the user's that is imported already is the one that is meant; Python's and installed ones never are.
    """
    for name in names:
        top = name.partition(".")[0]
        places = (folder.absolute() / f"{top}.py", folder.absolute() / top / "__init__.py")
        source = next((place for place in places if place.is_file()), None)
        imported = sys.modules.get(top)
        if source is not None and (imported is None or not is_own(getattr(imported, "__file__", None) or "<none>")):
            _look_in(folder.absolute())
            _check_only(top, source, f"{name}: expected one module of that name, there is one beside the sweep file")


def spec_of(name: str) -> ModuleSpec | None:
    """Return where a module would be imported from, without importing anything; None for one that is not there."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ValueError, ImportError):  # a module without a spec, as __main__
        return None
    for count in range(len(rest)):
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(".".join([top, *rest[: count + 1]]), spec.submodule_search_locations)
    return spec


def _look_in(folder: Path) -> None:
    """Have Python look for modules in a folder too, behind all others: what is found there now stays what it is."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()


def _check_only(name: str, source: Path, expected: str) -> None:
    """Raise Refused where another file than this one is what Python finds by the name."""
    spec = spec_of(name)
    found = Path(spec.origin) if spec is not None and spec.origin else None
    if found is None or not found.exists() or not found.samefile(source):
        raise Refused(f"plugin {expected}, given {source} and {found or 'a namespace'}; rename one of them")
