"""What lists things: where random streams begin, the hooks in the training step, the map in CONTRIBUTING.md."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from regtune.regularizers import HOOKS, Regularizer, _base
from tests.test_architecture import FILES, HOUSE

# What begins a random stream, beside the hashes of samplers and of the control share.
GLOBAL = {"seeded", "seed_all", "self._noise.at"}
BEGIN = {"Rng", "LaneNoise", "random.Random", "np.random.default_rng", "Sobol", "FanovaImportanceEvaluator", *GLOBAL}
HASHED = ("samplers/", "core/selection.py", "core/resampling.py")
HASHES = {"zlib.crc32", "blake2b", "hashlib.sha256"}
LISTED = re.compile(r"^    ([a-z_]+/\w+\.py|[a-z_]+/[a-z_]+/\w+\.py) +(.*?)(?:  |$)")


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield what a file calls, by the text of the function."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def begins(name: str, file: Path) -> bool:
    """Return whether a file begins a random stream."""
    found = {text for text, _ in calls(file)}
    return name != "core/rng.py" and bool(found & BEGIN or (name.startswith(HASHED) and found & HASHES))


def sites(text: str, call: ast.Call) -> list[str]:
    """Return the sites, or the uses of global states, that a call names: `order/`, `label_noise`, `build`."""
    words = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if text == "Rng":
        prefixes = (ast.unparse(word.value) for word in call.keywords if word.arg == "prefix")
        return [prefix.strip("f\"'").partition("/")[0] + "/" for prefix in prefixes]
    return words if text in GLOBAL or text.startswith("Rng(") else []


def test_every_place_where_a_random_stream_begins_is_listed_with_its_key() -> None:
    doc = ast.get_docstring(ast.parse((HOUSE / "core" / "rng.py").read_text())) or ""
    rows = [found.groups() for line in doc.splitlines() if (found := LISTED.match(line))]
    files = {file.relative_to(HOUSE).as_posix(): file for file in FILES}
    assert {name for name, _ in rows} == {name for name, file in files.items() if begins(name, file)}
    seen = 0
    for name, file in files.items():
        keys = [key for of, key in rows if of == name]
        for text, call in calls(file):
            for site in sites(text, call) if name != "core/rng.py" else []:
                assert any(site in key for key in keys), f"{name}:{call.lineno}: core/rng.py does not list {site}"
                seen += 1
    assert seen > 12, "sites are found in the sources at all"


def test_the_step_in_ten_lines_has_every_hook() -> None:
    doc = inspect.getdoc(_base) or ""
    code = [line for line in doc.splitlines() if line.startswith("    ")]
    methods = {name for name, value in vars(Regularizer).items() if inspect.isfunction(value) and name[0] != "_"}
    assert methods == {*HOOKS, "check", "pretraining_key", "reads", "wants_unlabelled"}
    assert {hook for hook in methods if re.search(rf"\b{hook}\(", "\n".join(code))} == set(HOOKS)
    assert "13 hooks" in doc and len(HOOKS) == 13


def test_the_map_in_contributing_names_files_and_what_is_in_them() -> None:
    text = (HOUSE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+\.py)(?:: ([\w.]+))?`", text)
    for path, name in named:
        file = next((file for base in (HOUSE, HOUSE.parent) if (file := base / path).is_file()), None)
        assert file is not None, f"CONTRIBUTING.md names {path}"
        defined = {getattr(node, "name", "") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))}
        assert not name or set(name.split(".")) <= defined, f"CONTRIBUTING.md: {path} has no {name}"
    assert len(named) > 40 and sum(bool(name) for _, name in named) > 5, "they are found at all"
