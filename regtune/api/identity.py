"""What a network that only this process has is known again by: a hash of all that decides what it computes.

Of code of the user's it is the source and whatever the code holds or names: defaults, closures, globals, attributes of
modules and classes. Code of a library is known by its name. Of an object it is the type and what a copy of it would be
made from, of tensors the numbers. Nothing depends on addresses, so another process finds the same hash.
"""

from __future__ import annotations

import builtins
import dis
import functools
import hashlib
import inspect
import pickle
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, EllipsisType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import Graph
from torch.jit import ScriptModule
from torch.nn.parameter import is_lazy

from regtune.core.errors import shown
from regtune.core.own_code import is_own
from regtune.core.sources import hash_of

ATOMS = (NoneType, EllipsisType, bool, int, float, complex, str, bytes)
HOLDERS = (classmethod, functools.cached_property, property, staticmethod)
GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
MODES = ("training", "_compiled_call_impl")  # of a module: regtune sets them itself
NO_COPY = (TypeError, AttributeError, ValueError, RuntimeError, pickle.PicklingError)
Parts = Iterator[tuple[str, object]]  # what is to be hashed, each with its name for messages


class Identity:
    """Hashes of values; `unknown` says in words what there was that has none, with how it is reached."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self._known: dict[int, bytes] = {}
        self._kept: list[object] = []  # as long as they live no other value has their address

    def of(self, value: object, where: str = "net") -> bytes:
        """Return the hash of a value."""
        if type(value) in ATOMS:
            return hashlib.sha256(f"{type(value).__name__} {value!r}".encode(errors="surrogatepass")).digest()
        if id(value) not in self._known:
            self._kept.append(value)
            self._known[id(value)] = b"above"  # for what holds itself
            self._known[id(value)] = self._hash(value, where)
        return self._known[id(value)]

    def _hash(self, value: object, where: str) -> bytes:
        if isinstance(value, Tensor | np.ndarray) and not _of_objects(value):
            try:
                return _of_numbers(value)
            except RuntimeError:  # of a tensor without numbers, or of a layout that has no plain one
                self.unknown.append(f"{where}, {shown(value)}")
                return b"unknown"
        parts = [self.of(part, f"{where}.{name}" if name else where) for name, part in self._parts(value, where)]
        return hashlib.sha256(b"".join(sorted(parts) if isinstance(value, set | frozenset) else parts)).digest()

    def _parts(self, value: object, where: str) -> Parts:
        if isinstance(value, nn.Module):
            yield from _module_parts(value)
        elif isinstance(value, type | FunctionType | BuiltinFunctionType | MethodType | ModuleType | CodeType):
            yield from _code_parts(value)
        elif type(value) in {list, tuple, set, frozenset}:
            yield from _each(value)  # type: ignore[arg-type]  # they are iterable
        elif type(value) is dict:
            yield from _items(value)
        elif isinstance(value, HOLDERS):
            holder: Any = value
            names = ("fget", "fset", "fdel") if isinstance(value, property) else ("func", "__func__")
            yield from (("", getattr(holder, name, None)) for name in names)
        elif isinstance(value, weakref.ReferenceType):
            yield "", "what another holds"
        elif isinstance(value, Graph):
            yield "", str(value)
        else:
            yield from self._copied(value, where)

    def _copied(self, value: object, where: str) -> Parts:
        """Yield what a copy would be made from."""
        try:
            made = value.__reduce_ex__(4)
        except NO_COPY:
            self.unknown.append(f"{where}, {shown(value)}")
            return
        if isinstance(made, str):
            yield from (("", type(value)), ("", made))
            return
        for place, part in enumerate(made):
            yield "", (list(part) if place in {3, 4} and part is not None else part)


def _module_parts(module: nn.Module) -> Parts:
    if isinstance(module, ScriptModule):  # which is refused later, whatever it holds
        yield "", dict(module.state_dict())
        return
    inner = getattr(module, "_orig_mod", None)  # of torch.compile
    if isinstance(inner, nn.Module):
        yield "", inner
        return
    yield "", type(module)
    for name, value in sorted(vars(module).items()):
        if name in MODES:
            continue
        yield "", name
        # The keys of hooks count those of the whole process.
        yield name, list(value.values()) if "_hooks" in name and isinstance(value, Mapping) else value


def _code_parts(value: type | FunctionType | BuiltinFunctionType | MethodType | ModuleType | CodeType) -> Parts:
    if isinstance(value, MethodType):
        yield from (("", value.__func__), ("", value.__self__))
    elif isinstance(value, CodeType):
        yield from (("", value.co_code), ("", value.co_names), ("", value.co_varnames), ("", value.co_consts))
    elif isinstance(value, ModuleType):
        yield "", value.__name__
        yield from _own_modules(value)
    elif isinstance(value, BuiltinFunctionType):
        yield from (("", value.__module__), ("", value.__qualname__))
        if not isinstance(value.__self__, ModuleType):
            yield "", value.__self__
    else:
        yield "", value.__qualname__
        if not _is_users(value.__module__):
            yield "", value.__module__
        elif isinstance(value, type):
            yield from _class_parts(value)
        if isinstance(value, FunctionType) and (_is_users(value.__module__) or "<" in value.__qualname__):
            yield from _function_parts(value)


def _class_parts(made: type) -> Parts:
    yield "", source_of(made)
    yield from (("", base) for base in made.__bases__)
    for name, value in vars(made).items():
        if name == "_abc_impl" or (name.startswith("__") and not isinstance(value, (FunctionType, *HOLDERS))):
            continue
        if not inspect.isdatadescriptor(value) or isinstance(value, property):  # no slots, whose values objects have
            yield from (("", name), (name, value))


def _function_parts(function: FunctionType) -> Parts:
    source, code = source_of(function), function.__code__
    yield "", source
    if not source or function.__name__ == "<lambda>":  # of which a line may have several
        yield "", code
    yield from (("", function.__defaults__), ("", function.__kwdefaults__), ("", vars(function)))
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield "", name
        try:
            yield name, cell.cell_contents
        except ValueError:  # it is not filled yet
            continue
    found = _named(code)
    for name in sorted(found["globals"]):
        if name not in function.__globals__:
            continue  # of Python itself, or missing
        value = function.__globals__[name]
        yield from (("", name), (name, value))
        if isinstance(value, ModuleType) and _is_users(value.__name__):
            yield from ((f"{name}.{each}", vars(value).get(each)) for each in sorted(found["attributes"]))
    for name in sorted(found["imports"]):
        if name in sys.modules:
            yield "", sys.modules[name]


def _own_modules(module: ModuleType) -> Parts:
    """Yield the sources of a module of the user's, and those that it takes things of."""
    if not _is_users(module.__name__):
        return
    file = getattr(module, "__file__", None)
    if file and Path(file).is_file():
        yield "", hash_of(Path(file))
    names = {
        value.__name__ if isinstance(value, ModuleType) else value.__module__
        for value in vars(module).values()
        if isinstance(value, ModuleType | FunctionType | type)
    }
    yield from (("", sys.modules[name]) for name in sorted(filter(None, names)) if name in sys.modules)


def source_of(thing: Any) -> str:
    """Return the source of a class or function; empty where none is known."""
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return ""


def _named(code: CodeType) -> dict[str, set[str]]:
    """Return the globals, attributes and modules that code names, that of functions inside of it too."""
    found: dict[str, set[str]] = {"globals": set(), "attributes": set(), "imports": set()}
    for step in dis.get_instructions(code):
        if step.opname in GLOBALS:
            found["globals"].add(step.argval)
        elif step.opname in ATTRIBUTES:
            found["attributes"].add(step.argval)
        elif step.opname == "IMPORT_NAME":
            found["imports"].add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            for kind, names in _named(inner).items():
                found[kind] |= names
    return found


def _is_users(module: str | None) -> bool:
    """Return whether a module of that name is the user's: a script, a notebook, or one that is not installed."""
    if module is None or module == builtins.__name__:
        return False
    if module == "__main__":
        return True
    top = module.split(".", 1)[0]
    files = [getattr(sys.modules.get(name), "__file__", None) for name in (module, top)]
    file = next(filter(None, files), None)  # some modules in a library have none
    return top not in sys.stdlib_module_names if file is None else is_own(file)


def _of_objects(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.hasobject


def _of_numbers(value: Tensor | np.ndarray[Any, Any]) -> bytes:
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(f"{value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif is_lazy(value):
        digest = hashlib.sha256(b"lazy")
    else:
        digest = hashlib.sha256(f"{value.dtype} {[*value.shape]} {value.requires_grad}".encode())
        plain = value.detach().cpu().to_dense() if value.layout != torch.strided else value.detach().cpu()
        digest.update(plain.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest()


def _each(values: Iterable[object]) -> Parts:
    yield from (("", value) for value in values)


def _items(values: Mapping[Any, object]) -> Parts:
    for name, value in values.items():
        yield from (("", name), (name if isinstance(name, str) else "", value))
