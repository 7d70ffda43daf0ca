"""The commands and code of the README and of docs are run as they stand, in one folder, page after page.

The sweep that they run is smaller than the one that ships, but for the slow tests, of what the pages say that it finds.
"""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from regtune.analysis.comparison import comparison
from regtune.reports.brief import by_importance
from regtune.reports.tables.answer import answer_lines
from regtune.reports.tables.scores import scores_as_text
from regtune.reports.terminal import flowed, narrow
from regtune.results.loader import load
from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.pages import PAGES, ROOT, blocks

SCRIPT = Path(sys.executable).parent / "regtune"
SMALLER = {
    "epochs = 30": "epochs = 3",
    "trials = 16": "trials = 3",
    "[confirm]\nseeds = 20": "[select]\nseeds = 0\n[confirm]\nseeds = 3",
}
_WHOLE = pytest.param("whole", marks=pytest.mark.slow)
WHOLE = pytest.mark.parametrize("folder", [_WHOLE], indirect=True)
BOTH = pytest.mark.parametrize("folder", ["smaller", _WHOLE], indirect=True)
HANGS = 3_000  # seconds: a sweep of three minutes took thirteen where other tests had both of two slow cores


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the pages name and the sweep files that ship, quickstart's made smaller."""
    size: str = request.param
    where = tmp_path_factory.mktemp(size)
    (where / "shrink.py").write_text(next(b for b in blocks("python") if "class ShrinkInputs" in b))
    (where / "shrink.toml").write_text(next(b for b in blocks("toml") if "shrink_inputs" in b))
    (where / "mine.toml").write_text(next(b for b in blocks("toml") if "staircase" in b))
    run(["regtune", "init", "my-sweeps"], where, alone=True)
    if size == "smaller":
        quickstart = where / "my-sweeps" / "quickstart.toml"
        text = quickstart.read_text()
        assert all(text.count(setting) == 1 for setting in SMALLER)
        quickstart.write_text(re.sub("|".join(map(re.escape, SMALLER)), lambda found: SMALLER[found[0]], text))
    return where


def run(words: list[str], where: Path, *, alone: bool) -> str:
    """Return what a command prints, in a process of its own or in this one."""
    assert words[0] == "regtune", words
    if alone:
        done = subprocess.run(
            [SCRIPT, *words[1:]], cwd=where, capture_output=True, text=True, check=False, timeout=HANGS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    else:
        done = called(*words[1:], folder=where)
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, str]:
    """Run every command of the pages in order; return what each printed, of a kind also the first.

    A whole sweep and a row of it run as processes of their own; a sweep that has ended has nothing to run.
    """
    done = list[tuple[list[str], str]]()
    sweep = ["regtune", "run", "my-sweeps/quickstart.toml"]
    for block in blocks("bash"):
        for words in commands(block):
            if words[0] == "make":
                assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
            else:
                first = words not in [earlier for earlier, _ in done]
                done.append((words, run(words, folder, alone=(words == sweep and first) or "--row" in words)))
    return {" ".join(words[1:until]): text for words, text in reversed(done) for until in (None, 3)}


@BOTH
def test_every_command_of_the_pages_runs(printed: dict[str, str]) -> None:
    assert "shrink_inputs" in printed["list --plugin"]
    assert "7 arms; 200 training, 397 validation, 1000 test" in printed["check my-sweeps/quickstart.toml"]
    assert "pruning after epochs: none" in printed["plan my-sweeps/quickstart.toml"]
    assert "recipe [{'name': 'mixup', 'per': 'batch', 'alpha': 0.4}]" in printed["trial my-sweeps/quickstart.toml"]
    assert "Which arms beat baseline" in printed["table results/quickstart"]
    assert printed["table results/quickstart --format csv"].startswith("arm,knobs,n,")
    assert "identical: every number of" in printed["trial results/quickstart"]
    assert re.search("^shrink  ", printed["run shrink.toml"], flags=re.MULTILINE)
    assert "wrote net/baseline.pt" in printed["export results/quickstart"]
    assert "mine.toml: ok, 4 arms" in printed["check mine.toml"]
    assert "Changes: " in printed["list networks mixup"]


@WHOLE
@pytest.mark.usefixtures("printed")
def test_quickstart_keeps_its_promises(folder: Path) -> None:
    """All cells end, 20 seeds of each arm that is not off, verdicts over searches: two or more help, and one hurts."""
    results = load(folder / "results" / "quickstart")
    trials = results.trials
    assert set(trials["status"]) <= {"ok", "diverged"}
    confirmed = trials[trials["phase"] == "confirm"].groupby("arm").size()
    assert set(confirmed) == {20}
    assert set(confirmed.index) == set(results.sweep.arms) - set(results.off)
    assert (trials[trials["phase"] == "search"].groupby("arm").size() == 16).all()
    found = comparison(results)
    assert set(found["scope"]) == {"searches"}
    assert (found["verdict"] == "better").sum() >= 2
    assert found["arm"][found["verdict"] == "worse"].to_list() == ["shifts"]


@BOTH
@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize("code", blocks("python"))
def test_every_python_example_runs(
    folder: Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a script of its own, in this process."""
    (tmp_path / "example.py").write_text(code)
    monkeypatch.chdir(folder)
    runpy.run_path(str(tmp_path / "example.py"), run_name="__main__")
    printed, whole = capsys.readouterr().out, folder.name.startswith("whole")
    if "import Sweep, train" in code:
        accuracy, status = printed.split()
        assert status == "ok"
        assert float(accuracy) > (0.8 if whole else 0.1)
    if "import load\n" in code:
        assert re.search(rf"^\d +mixup +{'better' if whole else ''}", printed, flags=re.MULTILINE)
    if "import load_network" in code:
        assert printed == "torch.Size([2, 10])\n"


def test_the_cocktail_of_the_pages_can_be_added_to_the_sweep_file_of_the_readme(tmp_path: Path) -> None:
    path = tmp_path / "cocktail.toml"
    path.write_text("\n".join(next(b for b in blocks("toml") if word in b) for word in ("baseline = {}", "one_of")))
    assert list(Sweep.read(path).arm("cocktail").space)[1:] == [
        "dropout.switch", "dropout.p_hidden", "max_norm.switch", "mixing.one_of", "mixup.alpha", "label_smoothing.eps",
        "decay.one_of", "cosine_restarts.lowest", "exponential_decay.last", "l2.strength",
    ]  # fmt: skip


@WHOLE
@pytest.mark.usefixtures("printed")
def test_the_table_is_the_published_one_of_the_sweep_that_ships(folder: Path) -> None:
    """Word for word what quickstart wrote then; what it writes now begins with the same arms and columns."""
    written = (folder / "results" / "quickstart" / "table.md").read_text()
    published = (ROOT / "results" / "published" / "quickstart.md").read_text()
    assert published.partition("\n\nWhich arms beat baseline in ")[0] in PAGES["docs/results.md"]
    sweep = tomllib.loads((ROOT / "sweeps" / "quickstart.toml").read_text())
    first = ["arm", *sweep["arms"]] * 3
    assert arms(published) == arms(written)
    assert arms(published)[: len(first)] == first
    assert headers(published) == headers(written)


def test_the_answer_is_that_of_the_published_rows() -> None:
    """In a terminal of 80 columns."""
    rows = pd.read_csv(ROOT / "results" / "published" / "quickstart.csv")
    rows["verdict"] = rows["verdict"].fillna("")
    shown = next(block for block in blocks("text") if block.startswith("Better than baseline"))
    assert shown.startswith("\n".join(flowed(line, 80) for line in answer_lines(rows, "seeds")) + "\n\n")
    assert narrow(by_importance(scores_as_text(rows), rows), 80, kept=2) in shown


@WHOLE
def test_what_the_command_prints_has_the_lines_and_arms_of_the_published_rows(printed: dict[str, str]) -> None:
    rows = pd.read_csv(ROOT / "results" / "published" / "quickstart.csv")
    shown = next(block for block in blocks("text") if block.startswith("Better than baseline"))
    now = printed["run my-sweeps/quickstart.toml"]
    assert all(f"\n{words}" in now for words in ("Better than baseline", "Worse", "Unresolved, which is not the "))
    assert first_words(now) == first_words(shown) == rows["arm"].to_list()


def first_words(text: str) -> list[str]:
    """Return what begins the lines of the table without a caption, up to the empty line behind it."""
    table = text.partition("\n-----")[2].partition("\n\n")[0]
    return [line.split()[0] for line in table.splitlines()[1:]]


def arms(text: str) -> list[str]:
    return [line.split("|")[1].strip() for line in text.splitlines() if re.match(r"\| \w", line)]


def headers(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| arm")]


def test_the_make_targets_are_the_commands_of_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "$(BIN)/regtune run sweeps/quickstart.toml" in makefile
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert not re.search(r"@|file:|https?:", (ROOT / "constraints.txt").read_text())
