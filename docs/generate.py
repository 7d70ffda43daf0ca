"""The generated parts of the pages, written between their markers: `make generated`; a test says what is stale.

A part begins with `<!-- generated: NAME -->` and ends with `<!-- end of NAME -->`, each on a line of its own.
"""

from __future__ import annotations

import inspect
import re
import threading
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import regtune
from regtune.api.best import Best
from regtune.api.plots import Plots
from regtune.api.results import Results
from regtune.cli import catalog
from regtune.cli.sweeps import sweep_files
from regtune.core.records import Epoch, Outcome
from regtune.execution.export import Exported
from regtune.reports.published.reading import published_tables
from regtune.service.app import api as service_api
from regtune.service.runs import Processes
from regtune.service.settings import Settings
from regtune.studies import STUDIES
from regtune.sweep.schema import SweepFile

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
MARKED = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end of \2 -->)", flags=re.DOTALL)
KINDS: Mapping[type, str] = {bool: "`true` or `false`", int: "integer", float: "number", str: "string"}
RETURNED: Mapping[str, type] = {
    "Epoch": Epoch,
    "Outcome": Outcome,
    "Results": Results,
    "Plots": Plots,
    "Best": Best,
    "Exported": Exported,
}
MADE = (regtune.Sweep, *RETURNED.values())  # by functions: nobody calls these classes
PLAIN_DEFAULTS = (bool, int, float, str, type(None), tuple)  # of parameters; others have no text worth reading


def pages() -> list[Path]:
    """Return the README and the pages of the site."""
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def renewed(text: str) -> str:
    """Return the text of a page with its parts as they have to be; raises KeyError for an unknown part."""
    return MARKED.sub(lambda found: found[1] + PARTS[found[2]]() + found[3], text)


def cards(kind: str) -> str:
    """Return the card of each thing of a kind below a heading of its own."""
    names = list(catalog.things(kind))
    told = zip(names, catalog.cards(names), strict=True)
    return "\n".join(f"### `{name}`\n```text\n{_wrapped(card)}\n```\n" for name, card in told)


def published_table() -> str:
    """Return the first table of the published quickstart, with its caption."""
    text = (ROOT / "results" / "published" / "quickstart.md").read_text(encoding="utf-8")
    return text.partition("\n\nWhich arms beat baseline in ")[0] + "\n"


def published_list() -> str:
    """Return which published tables there are, where each stands, and the arms that have figures there."""
    lines = ["| name | source | network and data | arms |", "|---|---|---|---|"]
    for name, table in published_tables().items():
        settings = dict.fromkeys(f"{part.network} on {part.data}" for part in table.parts)
        arms = dict.fromkeys(f"`{figure.arms[0]}`" for part in table.parts for figure in part.figures if figure.arms)
        shown = [f"{'; '.join([*settings][:3])}{' and more' if len(settings) > 3 else ''}", ", ".join(arms)]
        lines.append("| " + " | ".join([f"`{name}`", _cell(table.cited), *map(_cell, shown)]) + " |")
    return "\n".join(lines) + "\n"


def settings() -> str:
    """Return the tables of a sweep file with their settings, from the models that read it."""
    own = {name: field for name, field in SweepFile.model_fields.items() if _table(field) is None}
    parts = ["### At the top of the file\n" + _settings(own)]
    for name, field in SweepFile.model_fields.items():
        if (table := _table(field)) is not None:
            parts.append(f"### `[{name}]`\n{_settings(table.model_fields)}")
    return "\n".join(parts)


def commands() -> str:
    """Return the commands with the first line of their help, in the order of `regtune --help`."""
    from typer.main import get_command

    from regtune.__main__ import app

    lines = ["| command | what it does |", "|---|---|"]
    for name, command in getattr(get_command(app), "commands", {}).items():
        lines.append(f"| `regtune {name}` | {_cell((command.help or '').splitlines()[0])} |")
    return "\n".join(lines) + "\n"


def api() -> str:
    """Return what `regtune` exports, with signatures and docstrings, and then what its functions return."""
    exported = {name: getattr(regtune, name) for name in sorted(regtune.__all__, key=str.lower) if name[0] != "_"}
    return "\n".join(_thing(name, thing) for name, thing in {**exported, **RETURNED}.items())


def routes() -> str:
    """Return what the service answers, from its own description."""
    lines = ["| request | what it does |", "|---|---|"]
    settings = Settings(results=Path(), plugins={})
    # Nobody asks anything of it, and it never ends.
    described = service_api(settings, Processes(settings), dict, threading.Event()).openapi()
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            lines.append(f"| `{method.upper()} {path}` | {_cell(route['description'])} |")
    return "\n".join(lines) + "\n"


def _table(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _settings(fields: Mapping[str, FieldInfo]) -> str:
    lines = ["| setting | value | default | what it is |", "|---|---|---|---|"]
    for name, field in fields.items():
        default = "required" if field.is_required() else _toml(field.get_default())
        lines.append(f"| `{name}` | {_cell(_values(field))} | {default} | {_cell(field.description or '')} |")
    return "\n".join(lines) + "\n"


def _values(field: FieldInfo) -> str:
    words = _kind(field.annotation)
    limits = {type(each).__name__: each for each in field.metadata}
    low = _ends(limits, (("Ge", "ge", "["), ("Gt", "gt", "(")), "")
    high = _ends(limits, (("Le", "le", "]"), ("Lt", "lt", ")")), "")
    if low and high:
        return f"{words} in {low[0]}{low[1]}, {high[1]}{high[0]}"
    if low:
        return f"{words}, {'at least' if low[0] == '[' else 'more than'} {low[1]}"
    return words


def _ends(limits: Mapping[str, Any], kinds: tuple[tuple[str, str, str], ...], none: str) -> tuple[str, str] | str:
    for kind, attribute, bracket in kinds:
        if kind in limits:
            return bracket, f"{getattr(limits[kind], attribute):,}"
    return none


def _kind(annotation: Any) -> str:
    origin, inside = get_origin(annotation), [each for each in get_args(annotation) if each is not type(None)]
    if origin is Literal:
        return " or ".join(_toml(value) for value in inside)
    if origin in (UnionType, typing.Union):
        return _kind(inside[0])
    if origin is list:
        return f"list of {_kind(inside[0])}s"
    if origin is dict:
        return "table of strings" if inside[1] is str else "table"
    return KINDS.get(annotation, "list of tables")


def _toml(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _thing(name: str, thing: Any) -> str:
    text = f"### `{name}`\n"
    if thing not in MADE:
        text += f"```text\n{_signature(name, thing)}\n```\n"
    text += _paragraphs(thing)
    if inspect.isclass(thing):
        lines = [f"| `{member}` | {first} |" for member, first in _members(thing)]
        text += "\n".join(["", "| member | what it is |", "|---|---|", *lines]) + "\n" if lines else ""
    return text


def _members(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the public methods and properties that a class and its bases in regtune define, with a first line."""
    seen = set[str]()
    for base in cls.__mro__:
        if not base.__module__.startswith("regtune."):
            continue
        for name, member in vars(base).items():
            told = inspect.getdoc(member)
            described = isinstance(member, (property, classmethod, staticmethod)) or inspect.isfunction(member)
            if described and told and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, _cell(told.splitlines()[0])


def _signature(name: str, thing: Callable[..., Any]) -> str:
    """Return the call of a thing, a parameter a line where it is long; a default that is no plain value is `...`."""
    found = inspect.signature(thing)
    parameters = [
        each.replace(annotation=_as_written(each.annotation), default=_default(each.default))
        for each in found.parameters.values()
    ]
    told = str(found.replace(parameters=parameters, return_annotation=_as_written(found.return_annotation)))
    if len(name + told) <= 100:
        return name + told
    inside, _, after = told.removeprefix("(").rpartition(")")
    return "\n".join([f"{name}(", *(f"    {part}," for part in re.split(r", (?=\w+: |\*, )", inside)), f"){after}"])


def _as_written(annotation: Any) -> Any:
    return Written(annotation) if isinstance(annotation, str) else annotation


def _default(value: Any) -> Any:
    return value if value is inspect.Parameter.empty or isinstance(value, PLAIN_DEFAULTS) else Written("...")


class Written:
    """A text that a signature shows without quotation marks."""

    def __init__(self, text: str) -> None:
        self.text = text.strip('"')

    def __repr__(self) -> str:
        """Return the text as it is."""
        return self.text


def _paragraphs(thing: object) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(thing) or "").split("\n\n")) + "\n"


def _wrapped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def studies() -> str:
    """Return a table of the studies, in the order of the lecture."""
    every = sorted(STUDIES.all().items(), key=lambda each: each[1].place)
    rows = [f"| `{name.replace('_', '-')}` | {study.title} |" for name, study in every]
    return "\n".join(["| study | |", "|---|---|", *rows]) + "\n"


def sweep_head(path: Path) -> dict[str, str]:
    """Return what the comment at the top of a sweep file says, by the words that its parts begin with."""
    lines = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    text = " ".join(line.removeprefix("#").strip() for line in lines)
    parts = re.split(r"(?:^| )(Shows|Published|Differs|Takes): ", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def sweeps() -> str:
    """Return a table of the sweep files that ship: what each asks, and how long it takes on 2 cores."""
    rows = []
    for path in sweep_files():
        said = sweep_head(path)
        asks = said["Shows"].partition("? ")[0].rstrip("?")
        takes = re.split(r"On 2 cores(?: without other work)?: |, estimated|, measured", said["Takes"])[1].rstrip(".")
        rows.append(f"| `{path.stem}` | {asks[0].upper()}{asks[1:]}? | {takes} |")
    return "\n".join(["| file | what it asks | on 2 cores |", "|---|---|---|", *rows]) + "\n"


PARTS: Mapping[str, Callable[[], str]] = {
    "sweeps": sweeps,
    "methods": catalog.markdown,
    "method-cards": lambda: cards("regularizers"),
    "network-cards": lambda: cards("networks"),
    "data-cards": lambda: cards("data"),
    "optimizer-cards": lambda: cards("optimizers"),
    "quickstart-table": published_table,
    "published-tables": published_list,
    "settings": settings,
    "studies": studies,
    "commands": commands,
    "routes": routes,
    "api": api,
}


def main() -> None:
    """Write the pages whose generated parts are stale."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (fresh := renewed(text)) != text:
            page.write_text(fresh, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
