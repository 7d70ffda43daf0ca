"""Where a command prints: terminals of any encoding, with boxes only for people; versions, help and completion."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from regtune import __version__
from regtune.storage.log import read_log
from tests.command_line import called
from tests.conftest import SWEEP
from tests.originals import bytes_of

PLUGIN = '''
"""Überblenden."""
from dataclasses import dataclass
from regtune.regularizers import Regularizer

@dataclass(frozen=True, kw_only=True)
class Fades(Regularizer):
    """Überblendet … × „Anführung“."""
'''
COMMANDS = [
    ("--help",),
    ("run", "--help"),
    ("list",),
    ("list", "fades", "--plugin", "fades"),
    ("check", "größe.toml"),
    ("plan", "größe.toml"),
    ("run", "größe.toml", "--dry-run"),
    ("table", "results/größe", "--full"),
    ("trial", "results/größe", "--row", "baseline/confirm/0"),
    ("export", "results/größe", "--arm", "baseline", "--to", "größe"),
    ("frames", "results/größe"),
]
SLOWER = ("table", "trial", "export", "frames")  # these take a second
ENCODINGS = ("ascii", "latin-1", "cp437")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a sweep that ran on a terminal that shows ASCII alone, its live display included."""
    where = tmp_path_factory.mktemp("terminal")
    (where / "fades.py").write_text(PLUGIN, encoding="utf-8")
    small = SWEEP.replace("trials = 4", "trials = 1").replace("epochs = 6", "epochs = 2")
    (where / "größe.toml").write_text(f"# größe …\n{small}", encoding="utf-8")
    done = called("run", "größe.toml", "--in-process", folder=where, encoding="ascii", watched=True, TERM="xterm")
    assert done.returncode == 0, done.stderr
    assert "regtune ? gr??e" in done.stdout, "the title of the live display"
    assert "\x1b[" in done.stdout, "it was live"
    return where


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_an_encoding_lacks_is_replaced(folder: Path, words: tuple[str, ...]) -> None:
    whole = called(*words, folder=folder)
    assert whole.returncode == 0, whole.stderr
    for encoding in ENCODINGS[:1] if words[0] in SLOWER else ENCODINGS:
        done = called(*words, folder=folder, encoding=encoding)
        assert (done.returncode, done.stderr) == (0, whole.stderr)
        # Of others rich draws the lines in ASCII, and a trial says how long it took.
        if words[0] in ("check", "table", "export", "frames") or "fades" in words:
            assert done.stdout == whole.stdout.encode(encoding, "replace").decode(encoding)


def test_files_are_utf_8_whatever_the_terminal(folder: Path) -> None:
    written = folder / "results" / "größe"
    assert "±" in (written / "table.md").read_text(encoding="utf-8")
    assert read_log(written / "log.jsonl")[0][1]["sweep"]["name"] == "größe"


def test_a_process_in_the_c_locale_is_of_the_same_sweep_and_data(folder: Path) -> None:
    """Names of files are bytes there that Python cannot decode, and nothing beyond ASCII can be printed."""
    np.savez(folder / "blüten.npz", x=bytes_of(0, 120, 4, 4), y=np.arange(120) % 4)
    text = SWEEP.partition("[network]")[2]
    own = f'[data]\nname = "npz"\npath = "blüten.npz"\nvalidation = 32\n[network]{text}'
    (folder / "own.toml").write_text(own, encoding="utf-8")
    (folder / "bad.toml").write_text(own.replace("mixup =", '"größe" ='), encoding="utf-8")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    commands = [["run", "größe.toml"], ["check", "own.toml", "--data", "."], ["plan", "bad.toml"]]
    code = (
        "import sys\nfrom regtune.__main__ import main\n"
        f"for words in {[[word.encode() for word in words] for words in commands]}:\n"
        "    sys.argv = ['regtune', *(word.decode('ascii', 'surrogateescape') for word in words)]\n"
        "    try:\n        main()\n    except SystemExit as end:\n        print('code', end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=locale, capture_output=True, check=False)
    printed = done.stdout.decode("ascii")
    assert [line for line in printed.splitlines() if line.startswith("code ")] == ["code 0", "code 0", "code 2"]
    assert "written: results/gr??e/table.md" in printed.replace("????", "??")
    assert "own.toml: ok, 3 arms; 64 training" in printed
    assert done.stderr.decode("ascii").startswith("regtune: bad.toml: arms")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Usage: regtune [OPTIONS] COMMAND"),
        (("run",), "Error: Missing argument"),
        (("chek",), "Error: No such command 'chek'"),
        (("check", "--foo", "x"), "Error: No such option: --foo"),
        (("trial", "größe.toml", "--seed", "-1"), "Error: Invalid value for"),
    ],
)
def test_usage_errors_have_no_box_where_nobody_looks(folder: Path, words: tuple[str, ...], said: str) -> None:
    done = called(*words, folder=folder, GITHUB_ACTIONS="true", FORCE_COLOR="1")
    assert done.returncode == 2
    assert said in done.stderr + done.stdout
    assert (done.stderr + done.stdout).isascii(), "no lines, no colours"


@pytest.mark.parametrize("words", [(), ("run",), ("list",), ("submit",)])
def test_h_is_help(folder: Path, words: tuple[str, ...]) -> None:
    short, long = (called(*words, option, folder=folder) for option in ("-h", "--help"))
    assert short.returncode == 0
    assert short.stdout == long.stdout
    assert short.stdout.startswith(" ".join(("Usage: regtune", *words)))


def test_version_names_what_a_sweep_runs_on(folder: Path) -> None:
    done = called("--version", folder=folder)
    torch, ray, optuna = map(importlib.metadata.version, ("torch", "ray", "optuna"))
    python = platform.python_version()
    assert done.stdout == f"regtune {__version__} (Python {python}, torch {torch}, Ray {ray}, Optuna {optuna})\n"


def test_the_shell_completes_commands_and_options(folder: Path) -> None:
    def completed(*words: str) -> list[str]:
        line, count = " ".join(("regtune", *words)), str(len(words))
        done = called(folder=folder, _REGTUNE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=count)
        return done.stdout.split()

    assert completed("re") == ["report"]
    assert completed("run", "--re") == ["--results", "--retry-failed", "--reuse"]
    script = called("--show-completion", "bash", folder=folder, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1").stdout
    assert "_REGTUNE_COMPLETE=complete_bash" in script
    assert script.endswith("regtune\n")
