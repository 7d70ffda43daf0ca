"""The house rules: imports point one way, heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent / "regtune"
FILES = sorted(HOUSE.rglob("*.py"))

# A room imports only rooms on lower floors; rooms on one floor do not know each other.
FLOORS = [
    {"core"},
    {"augmentation", "data", "networks", "optimizers", "pruners", "samplers", "storage", "statistics", "trackers"},
    {"regularizers", "results"},
    {"training", "sweep", "analysis"},
    {"search", "reports"},
    {"execution", "studies"},
    {"cli", "service"},
    {"api"},
    {"__init__", "space"},
    {"__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
LIGHT = {"core", "storage", "statistics", "results", "analysis", "reports"}  # never load torch, but for these files:
HEAVY = {"core/rng.py", "core/global_rng.py", "core/state.py"}
DRAWS = {"rand", "randn", "randint", "randperm", "bernoulli", "dropout"}
SERVES = {"fastapi", "starlette", "uvicorn", "anyio"}  # of the service, an extra
LAZY = {"sklearn", "torchvision", "statsmodels", "scikit_posthocs", "matplotlib", "PIL", "timm"}


def room(file: Path) -> str:
    return file.relative_to(HOUSE).parts[0].removesuffix(".py")


def imports(file: Path, *, top_level_only: bool) -> list[str]:
    """Return the dotted modules that a file imports, those under TYPE_CHECKING left out."""
    tree = ast.parse(file.read_text())
    checking = {
        id(node)
        for part in ast.walk(tree)
        if isinstance(part, ast.If) and isinstance(part.test, ast.Name) and part.test.id == "TYPE_CHECKING"
        for node in ast.walk(part)
    }
    found = []
    for node in tree.body if top_level_only else ast.walk(tree):
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found.append(node.module or "")
            if node.module == "regtune":  # `from regtune import training` names a room, or a name of the package
                found += [
                    f"regtune.{a.name}"
                    for a in node.names
                    if (HOUSE / a.name).exists() or (HOUSE / f"{a.name}.py").exists()
                ]
    return found


def test_every_room_is_in_the_plan() -> None:
    assert {room(file) for file in FILES} == FLOOR.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_a_room_imports_only_rooms_on_lower_floors(file: Path) -> None:
    mine = room(file)
    for module in imports(file, top_level_only=False):
        parts = module.split(".")
        if parts[0] == "regtune" and len(parts) > 1:
            assert parts[1] == mine or FLOOR[parts[1]] < FLOOR[mine], f"{file.name} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_heavy_libraries_stay_in_their_rooms(file: Path) -> None:
    everywhere = {module.split(".")[0] for module in imports(file, top_level_only=False)}
    at_start = {module.split(".")[0] for module in imports(file, top_level_only=True)}
    name = file.relative_to(HOUSE).as_posix()
    assert not at_start & LAZY
    if room(file) in LIGHT and name not in HEAVY:
        assert "torch" not in everywhere
    if not name.startswith("execution/ray/"):
        assert "ray" not in everywhere
    if room(file) != "service":
        assert not everywhere & SERVES


# What processes load, from little to much: each entry comes on top of those above.
LOADS = [
    ("regtune", ["torch", "ray", "pandas", "optuna", "timm"]),
    ("regtune.__main__", ["torch", "ray", "pandas", "fastapi", "uvicorn"]),
    (
        "regtune.reports.formats, regtune.reports.output, regtune.results.parquet",
        ["torch", "ray", "altair", "vl_convert", "jinja2", "optuna", "statsmodels", "matplotlib"],
    ),
    (
        "regtune.results.loader, regtune.analysis.comparison, regtune.statistics, regtune.analysis.budget, "
        "regtune.api.results",
        ["torch", "ray", "sklearn", "statsmodels"],
    ),
    (
        "regtune.reports.page.report, regtune.reports.page.several",
        ["torch", "ray", "sklearn", "statsmodels", "matplotlib"],
    ),
    ("regtune.service.app, regtune.service.worker", ["torch", "ray", "sklearn", "matplotlib"]),
    (
        "regtune.training.trainer, regtune.execution.try_out, regtune.execution.preflight",
        ["ray", "sklearn", "torchvision", "timm", "PIL"],
    ),
    ("regtune.service.app, regtune.service.ray_jobs", ["ray", "sklearn"]),
    ("regtune.execution.ray.worker", ["sklearn", "torchvision", "timm", "statsmodels"]),
]
LOAD = """
import importlib, sys
for modules, absent in {loads!r}:
    for module in modules.split(", "):
        importlib.import_module(module)
    print(modules, [name for name in absent if name in sys.modules])
"""


def test_processes_do_not_load_what_they_do_not_use() -> None:
    code = LOAD.format(loads=LOADS)
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [f"{modules} []" for modules, _ in LOADS]


def test_nothing_draws_from_a_global_generator() -> None:
    """Noise is counter-based; the one seeded fork around a module's own constructor is the exception."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            drawn = node.attr if isinstance(node, ast.Attribute) else ""
            assert drawn not in DRAWS, f"{file.name} draws with {drawn}"


def test_paths_of_knobs_are_taken_apart_in_one_place() -> None:
    """`KnobPath` does it; the other dots are those of modules, versions and sentences."""
    others = {"core/plugins.py", "core/sources.py", "training/recipe.py", "execution/ray/nodes.py"}
    apart = [f for f in FILES if 'partition(".")' in f.read_text()]
    assert {f.relative_to(HOUSE).as_posix() for f in apart} == {"core/search_space.py", *others}


def test_text_files_are_read_and_written_as_utf_8_whatever_the_locale() -> None:
    """`open` of bytes needs none; the names in a tar are text too."""
    for file in FILES:
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call):
                continue
            called, words = ast.unparse(call.func), {word.arg for word in call.keywords}
            modes = {arg.value for arg in call.args if isinstance(arg, ast.Constant)}
            opens = called in ("open", "tarfile.open", "gzip.open") and "rb" not in modes
            opens |= called.endswith(".open") and bool(modes & {"r", "w", "a", "x", "rt", "wt"})
            opens |= called.endswith((".read_text", ".write_text")) or (called == "subprocess.run" and "text" in words)
            if opens:
                assert "encoding" in words, f"{file.name}:{call.lineno}: {called} in the encoding of the locale"


def test_files_hold_one_idea() -> None:
    long = {str(f.relative_to(HOUSE)): n for f in FILES if (n := len(f.read_text().splitlines())) > 400}
    assert not long, f"split these files: {long}"
