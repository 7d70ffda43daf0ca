"""What belongs to a plugin: found wherever regtune is started, told apart by all that it pulls in, shipped with it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regtune.core.errors import Refused
from regtune.core.plugins import find_beside, name_of_plugin, spec_of
from regtune.core.sources import changed_modules, plugin_fingerprint, plugin_paths, same_sources, shipped_paths
from regtune.data import DataLocation
from regtune.execution.ray.package import packaged
from regtune.execution.reproduce import reproduce
from regtune.regularizers import REGULARIZERS, check_hooks
from regtune.results.loader import load
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep
from tests.conftest import write_log
from tests.resuming import SMALL, ran, read, rows_of

METHOD = '''
from dataclasses import dataclass
from regtune.regularizers import Regularizer

@dataclass(frozen=True, kw_only=True)
class Outer(Regularizer):
    """Changes pictures as its neighbour says."""

    def augment(self, x, y, step):
        from effect import scale
        return scale(x), y
'''
WITH_OUTER = 'plugins = ["outer"]\n' + SMALL.replace("dropout = { dropout = {} }", "outer = { outer = {} }")
NAMES = ("outer", "effect", "deeper", "pack", "space_only", "alone", "twice")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with a plugin and the module that it imports; what a test imports is forgotten after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    place = tmp_path / "mine"
    place.mkdir()
    (place / "outer.py").write_text(METHOD)
    (place / "effect.py").write_text("import math, torch, numpy\nimport deeper\ndef scale(x): return deeper.same(x)\n")
    (place / "deeper.py").write_text("def same(x): return x\n")
    yield place
    for name in NAMES:
        sys.modules.pop(name, None)


def sha(*sources: Path) -> str:
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def test_what_a_plugin_imports_is_part_of_it_and_nothing_that_is_installed(folder: Path) -> None:
    find_beside(["outer"], folder)
    assert plugin_paths("outer") == {name: folder / f"{name}.py" for name in ("outer", "effect", "deeper")}
    effect, deeper = sha(folder / "effect.py")[:8], sha(folder / "deeper.py")[:8]
    assert plugin_fingerprint("outer") == f"{sha(folder / 'outer.py')[:16]} deeper={deeper} effect={effect}"
    assert shipped_paths(["outer", "effect"]) == [folder / f"{name}.py" for name in ("outer", "effect", "deeper")]


def test_the_fingerprint_of_a_plugin_that_imports_nothing_of_the_user_s_is_what_it_was(folder: Path) -> None:
    (folder / "alone.py").write_text("import json\nimport torch\nfrom regtune.regularizers import Regularizer\n")
    find_beside(["alone"], folder)
    assert plugin_fingerprint("alone") == sha(folder / "alone.py")[:16]
    pack = folder / "pack"
    (pack / "inner").mkdir(parents=True)
    (pack / "__init__.py").write_text("from .part import x\nfrom . import inner\n")
    (pack / "part.py").write_text("from pack.inner import x\n")
    (pack / "inner" / "__init__.py").write_text("x = 1\n")
    assert plugin_fingerprint("pack") == sha(*sorted(pack.rglob("*.py")))[:16]
    assert shipped_paths(["pack"]) == [pack]


def test_packages_namespaces_and_relative_imports_are_followed(folder: Path) -> None:
    pack, space = folder / "pack", folder / "space_only"
    (pack / "inner").mkdir(parents=True)
    space.mkdir()
    (pack / "__init__.py").write_text("")
    (pack / "method.py").write_text("from .inner import way\nfrom .. import nothing\n")
    (pack / "inner" / "__init__.py").write_text("from . import way\n")
    (pack / "inner" / "way.py").write_text("def f():\n    import space_only.part as p\n    return p\n")
    (space / "part.py").write_text("if True:\n    from effect import *\nimport broken_here\n")
    (folder / "deeper.py").write_text("def (:\n")  # a fault of the user's, which is none of ours
    (folder / "broken_here.py").write_bytes(b"\0")
    find_beside(["pack.method"], folder)
    paths = plugin_paths("pack.method")
    assert paths.pop("pack") == pack
    assert paths == {
        "space_only": space,
        **{name: folder / f"{name}.py" for name in ("effect", "deeper", "broken_here")},
    }


def test_nothing_is_imported_to_find_out(folder: Path) -> None:
    (folder / "effect.py").write_text("raise SystemExit('imported')\n")
    find_beside(["outer"], folder)
    assert set(plugin_paths("outer")) == {"outer", "effect"}
    assert spec_of("no_such_module_at_all.part") is None
    assert spec_of("json.no_such_part") is None
    assert spec_of("outer.part") is None, "a module has no parts"
    assert "effect" not in sys.modules


def test_a_change_in_what_a_plugin_imports_is_refused(folder: Path) -> None:
    ran(folder, WITH_OUTER)
    (folder / "deeper.py").write_text("def same(x): return x * 0.0\n")
    more = WITH_OUTER.replace("trials = 2", "trials = 3")
    with pytest.raises(Refused, match=r"differs in plugins\.outer: \w+ deeper=\w+ effect=(\w+) -> \w+ deeper=\w+ "):
        ran(folder, more)


def test_an_arm_is_left_out_together_with_its_plugin(folder: Path) -> None:
    log, said = ran(folder, WITH_OUTER), list[str]()
    before, count = log.read_bytes(), len(read_log(log)[0])
    less = WITH_OUTER.partition("\n")[2].replace("outer = { outer = {} }\n", "")
    assert "outer" not in less
    ran(folder, less, say=said.append)
    assert said == [f"{log}: left out: arm outer"]
    assert log.read_bytes().startswith(before)
    assert not [row for row in read_log(log)[0][count:] if "cell" in row], "nothing is trained"
    assert set(load(log).trials["arm"]) == {"baseline"}
    ran(folder, less.replace("trials = 2", "trials = 3"))
    assert [row["cell"] for row in rows_of(log, "started")][-1] == ["baseline", "search", 2]
    ran(folder, WITH_OUTER, say=said.append)
    assert f"{log}: added: arm outer again" in said


def test_where_the_plugin_is_gone_the_refusal_says_to_keep_it(folder: Path) -> None:
    ran(folder, WITH_OUTER)
    (folder / "outer.py").unlink()
    sys.modules.pop("outer")
    less = WITH_OUTER.partition("\n")[2].replace("outer = { outer = {} }\n", "")
    with pytest.raises(Refused, match=r"plugins\.outer: .* -> nothing; .*; or keep outer in plugins: every trial"):
        ran(folder, less)


def test_a_row_that_differs_names_the_module_that_was_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = ran(folder, WITH_OUTER)
    rows = read_log(log)[0]
    for row in rows:
        if row["event"] == "epoch":
            row["epoch"]["val_loss"] += 1e-9
        elif row["event"] == "ended" and row["cell"] == ["outer", "search", 1]:
            row["outcome"]["status"] = "failed"
    write_log(log, rows)

    def said(key: str) -> tuple[int, str]:
        return reproduce(log.parent, key, DataLocation()), capsys.readouterr().out.splitlines()[-1]

    code, line = said("outer/search/0")
    assert (code, line) == (1, "not identical although software and processor are the same")
    assert said("outer/search/1")[1] == "it did not raise here"
    (folder / "deeper.py").write_text("def same(x): return 1 * x\n")
    assert said("outer/search/0") == (3, "not comparable bit for bit, because plugin outer was changed in deeper")
    assert said("outer/search/1")[1] == "it did not raise here; since then plugin outer was changed in deeper"
    write_log(log, [row | {"data": "others"} if row["event"] == "header" else row for row in rows])
    assert said("outer/search/0")[1].endswith("plugin outer was changed in deeper; the data are others")


@pytest.mark.parametrize(
    ("before", "now", "names"),
    [
        ("12 a=1", "12 a=1", []), ("12", "12 a=1", []), ("12 a=1", "13 a=1", ["outer"]),
        ("12 a=1 b=2", "12 a=2 c=2", ["a", "b", "c"]), ("", "12", ["outer"]),
    ],
)  # fmt: skip
def test_by_which_modules_fingerprints_differ(before: str, now: str, names: list[str]) -> None:
    assert changed_modules("outer", before, now) == names


SLIPS = '''
from dataclasses import dataclass
from regtune.regularizers import Regularizer

@dataclass(frozen=True, kw_only=True)
class Alone(Regularizer):
    """Has a method of some name, and may call it."""

    def {name}(self, step):
        return 0.0 * step.logits.mean()

    def penalty(self, step):
        return sum(self.{called}(step) for _ in range(1))

    def other(self, step):
        return 0.0

    def _penality(self, step):
        return 0.0
'''


@pytest.mark.parametrize(
    ("name", "called", "near"),
    [("penality", "other", "penalty"), ("Penalty", "other", "penalty"), ("scheduler", "other", "schedule")],
)
def test_a_misspelt_hook_is_refused_unless_the_method_calls_it(name: str, called: str, near: str, folder: Path) -> None:
    text = WITH_OUTER.replace("outer", "alone")
    (folder / "alone.py").write_text(SLIPS.format(name=name, called=called))
    with pytest.raises(
        Refused, match=rf"regularizer alone: .* given {name!r}, which nothing calls \(did you mean {near!r}"
    ):
        read(folder, text)
    sys.modules.pop("alone")
    (folder / "alone.py").write_text(SLIPS.format(name=name, called=name))
    assert read(folder, text).arm("alone").template.recipe == ({"name": "alone"},)


@pytest.mark.parametrize("name", sorted(REGULARIZERS.all()))
def test_no_method_of_regtune_has_a_misspelt_hook(name: str) -> None:
    check_hooks(REGULARIZERS.all()[name])


def test_a_log_that_knows_a_plugin_by_its_own_file_goes_on_and_then_knows_all_of_it(folder: Path) -> None:
    log = ran(folder, WITH_OUTER)
    rows = read_log(log)[0]
    for row in rows:
        if row["event"] == "header":
            row["sweep"]["plugins"]["outer"] = sha(folder / "outer.py")[:16]
    write_log(log, rows)
    before = log.read_bytes()
    ran(folder, WITH_OUTER)
    assert log.read_bytes() == before, "a finished sweep run again adds nothing"
    more = WITH_OUTER.replace("trials = 2", "trials = 3")
    ran(folder, more)
    (folder / "effect.py").write_text("def scale(x): return x\n")
    with pytest.raises(Refused, match=r"differs in plugins\.outer"):
        ran(folder, more)


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("12", "12", True), ("12", "12 a=1", True), ("12 a=1", "12 a=1", True), ("12 a=1", "12", False),
        ("12", "13 a=1", False), ("12 a=1", "12 a=1 b=2", False), ("12 a=1", "12 a=2", False), ("1", "12", False),
    ],
)  # fmt: skip
def test_which_fingerprints_are_the_same(before: str, now: str, same: bool) -> None:
    assert same_sources(before, now) is same


def test_a_plugin_beside_the_sweep_file_is_found_from_any_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / "small.toml").write_text(WITH_OUTER)
    assert Sweep.read(Path("mine/small.toml")).arm("outer").template.recipe == ({"name": "outer"},)
    assert str(folder) in sys.path, "what it imports later on is found too"


def test_a_plugin_given_by_its_file_is_that_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(WITH_OUTER.partition("\n")[2])
    assert name_of_plugin("./mine/outer.py") == "outer"
    assert Sweep.read("small.toml", ("outer",)).plain()["plugins"] == {"outer": plugin_fingerprint("outer")}
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text("")
    assert name_of_plugin("mine/pack") == "pack"
    assert name_of_plugin("tests.plugin_things") == "tests.plugin_things"
    (folder / "pack" / "way.py").write_text("from . import deep\n")
    (folder / "pack" / "deep").mkdir()
    (folder / "pack" / "deep" / "__init__.py").write_text("from .. import way\n")
    assert name_of_plugin("mine/pack/way.py") == "pack.way", "relative imports need the package"
    assert name_of_plugin("mine/pack/deep/__init__.py") == name_of_plugin("mine/pack/deep") == "pack.deep"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("./none.py", "plugin './none.py': expected a Python file or a package"),
        ("mine/empty", "expected a Python file or a package (a folder with __init__.py)"),
        ("mine/two words.py", "expected a file called like a module, of letters, digits and _"),
        ("mine/json.py", "plugin mine/json.py: expected a file whose name no other module has, given "),
        ("mine/faulty.py", "plugin faulty: ZeroDivisionError: 'division by zero' (faulty.py:1)"),
    ],
)
def test_a_file_that_is_no_plugin_is_refused(
    given: str, said: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / "empty").mkdir()
    for name, source in (("two words", ""), ("json", ""), ("faulty", "1 / 0")):
        (folder / f"{name}.py").write_text(source)
    with pytest.raises(Refused) as caught:
        name_of_plugin(given)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_two_plugins_of_one_name_are_refused_where_python_would_take_the_other(folder: Path, tmp_path: Path) -> None:
    sys.path.insert(0, str(tmp_path))
    (tmp_path / "outer.py").write_text(METHOD)
    with pytest.raises(Refused, match=r"plugin outer: expected one module of that name, there is one beside the sweep"):
        read(folder, WITH_OUTER)
    name_of_plugin(str(tmp_path / "outer.py"))
    assert read(folder, WITH_OUTER).arm("outer")


@pytest.mark.parametrize("name", ["random", "sys", "numpy", "regtune"])
def test_a_file_called_like_a_module_that_is_imported_already_is_refused(name: str, folder: Path) -> None:
    (folder / f"{name}.py").write_text(METHOD)
    with pytest.raises(Refused, match=rf"plugin {name}: expected one module of that name, .*; rename one of them"):
        read(folder, WITH_OUTER.replace('["outer"]', f'["{name}"]'))


@pytest.mark.parametrize("name", ["./outer.py", "outer.py", "..", ""])
def test_a_sweep_file_names_a_plugin_and_no_file_of_one(name: str, folder: Path) -> None:
    with pytest.raises(Refused, match=r"expected the name of a module, as 'shrink'"):
        read(folder, WITH_OUTER.replace('["outer"]', f'["{name}"]'))


def test_what_is_submitted_runs_where_nothing_else_is(folder: Path) -> None:
    """The parcel alone, in a process that has neither this checkout nor the plugin's folder on its path."""
    sweep = read(folder, WITH_OUTER)
    with packaged(sweep, folder / "small.toml") as parcel:
        assert {path.name for path in parcel.iterdir()} == {
            "regtune", "small.toml", "outer.py", "effect.py", "deeper.py",
        }  # fmt: skip
        code = (
            "import json; from regtune.sweep.sweep import Sweep; import effect, regtune; "
            "print(json.dumps([Sweep.read('small.toml').plain()['plugins'], effect.__file__, regtune.__file__]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=parcel, capture_output=True, text=True, check=True, timeout=120,
            env={"PYTHONPATH": str(parcel)},
        )  # fmt: skip
        plugins, *files = json.loads(done.stdout)
        assert plugins == sweep.plain()["plugins"]
        assert all(Path(file).is_relative_to(parcel.resolve()) or str(file).startswith(str(parcel)) for file in files)
