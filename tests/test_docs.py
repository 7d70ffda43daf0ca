"""The README and the pages of docs: nothing stale, no option, file or link that does not exist; without mkdocs."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import generate
import pytest

from regtune.sweep.sweep import Sweep
from tests.command_line import called
from tests.pages import FENCED, NAV, PAGES, ROOT, SITE, blocks, prose

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LANGUAGES = {
    "bash": "run by test_readme.py, one after the other",
    "python": "run by test_readme.py",
    "toml": "read as a sweep file, below",
    "console": "its commands of regtune are held against their help, below",
    "text": "what is printed",
}
# What a block of TOML leaves out, by table.
REST = {
    "data": '[data]\nname = "digits"\ntest = 1000\n',
    "network": '[network]\nname = "mlp"\n',
    "optimizer": "[optimizer]\nlearning_rate = { low = 0.01, high = 0.3 }\n",
    "training": "[training]\nepochs = 30\nbatch = 20\n",
    "arms": "[arms]\nbaseline = {}\ndropout = { dropout = {} }\n",
    "search": "[search]\ntrials = 30\n",
}
OUR_FILE = r"(?:benchmarks|clusters|docs|regtune|results/published|sweeps|tests)/[\w./*-]*"
every_page = pytest.mark.parametrize("page", PAGES)


@cache
def told_by_help(command: str) -> str:
    return called(*([command] if command else []), "--help", folder=ROOT, COLUMNS="200").stdout


def said_of_commands(page: str) -> list[list[str]]:
    """Return the words of each command of regtune in a page: in its console blocks, and in its sentences."""
    lines = [line for name, text in FENCED.findall(PAGES[page]) if name == "console" for line in text.splitlines()]
    lines += [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(page))]
    spoken = [shlex.split(re.sub(r"^(\w+=\S* )+", "", line), comments=True) for line in lines if "regtune " in line]
    return [words for words in spoken if words[:1] == ["regtune"] and words[1:2] != ["COMMAND"]]


@every_page
def test_generated_parts_are_not_stale(page: str) -> None:
    assert generate.renewed(PAGES[page]) == PAGES[page], f"{page} is stale: run `make generated`"


def test_every_generated_part_is_on_a_page() -> None:
    marked = [name for text in PAGES.values() for name in re.findall(r"<!-- generated: ([a-z-]+) -->", text)]
    assert sorted(marked) == sorted(generate.PARTS)
    assert len(re.findall(r"<!-- end of ", "".join(PAGES.values()))) == len(marked)
    assert {path.relative_to(ROOT).as_posix() for path in generate.pages()} == PAGES.keys()


def test_a_stale_part_is_renewed() -> None:
    text = "before\n<!-- generated: methods -->\nold\n<!-- end of methods -->\nbehind\n"
    fresh = generate.renewed(text)
    assert "old" not in fresh
    assert "| `mixup` |" in fresh
    assert fresh.startswith("before\n<!-- generated: methods -->\n|")
    assert fresh.endswith("|\n<!-- end of methods -->\nbehind\n")


def test_every_setting_of_a_sweep_file_is_described() -> None:
    rows = re.findall(r"^\| `\w+` \|.*$", generate.settings(), flags=re.MULTILINE)
    assert len(rows) > 50
    assert [row for row in rows if row.split(" | ")[-1].strip(" |") == ""] == []


@every_page
def test_every_block_is_of_a_kind_that_is_tested(page: str) -> None:
    assert {name for name, _ in FENCED.findall(PAGES[page])} <= LANGUAGES.keys()
    assert PAGES[page].count("\n```") == 2 * len(FENCED.findall(PAGES[page])), "a fence is not closed, or indented"


@pytest.mark.parametrize("block", blocks("toml"))
def test_every_block_of_toml_is_a_sweep_file_or_a_part_of_one(block: str, tmp_path: Path) -> None:
    given = tomllib.loads(block)
    if "search" in given and "trials" not in given["search"]:
        block = block.replace("[search]\n", "[search]\ntrials = 30\n")
    if "arms" in given and "baseline" not in given["arms"]:
        block += REST["arms"]
    text = "\n".join([block, *(rest for table, rest in REST.items() if table not in given)])
    (tmp_path / "base.toml").write_text("\n".join(REST.values()))  # which a block may include
    path = tmp_path / "sweep.toml"
    path.write_text(text.replace("shrink = { shrink_inputs = {} }\n", ""))  # a plugin, which test_readme.py runs
    assert "baseline" in [arm.name for arm in Sweep.read(path).arms]


@every_page
def test_every_command_and_option_exists(page: str) -> None:
    for words in said_of_commands(page):
        command = "" if words[1].startswith("-") else words[1]
        assert not command or re.search(rf"^  {command} ", told_by_help(""), flags=re.MULTILINE), words
        for option in (word.partition("=")[0] for word in words if word.startswith("-")):
            assert re.search(rf"(^|[\s,]){option}\b", told_by_help(command), flags=re.MULTILINE), f"{words}: {option}"


def test_commands_are_found_in_blocks_and_sentences() -> None:
    found = [words for page in PAGES for words in said_of_commands(page)]
    assert ["regtune", "run", "SWEEP", "--address", "auto"] in found
    assert ["regtune", "run", "flowers.toml"] in found
    assert ["regtune", "run", "SWEEP", "--retry-failed"] in found


@every_page
def test_every_file_of_ours_that_is_named_exists(page: str) -> None:
    text = " ".join(PAGES[page].split())
    for path in re.findall(rf"(?<![\w/.~]){OUR_FILE}", text):
        name = path.rstrip(".")
        assert list(ROOT.glob(name.rstrip("/"))), f"{page}: {name}"
    for extra in re.findall(r"regtune\[(\w+)\]|'\.\[(\w+)\]'", text):
        assert "".join(extra) in PROJECT["optional-dependencies"]


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and mkdocs both make it."""
    return re.sub(r"[ ]+", "-", re.sub(r"[^\w -]", "", heading.lower()).strip())


@every_page
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"(?<!`)\]\(([^)]+)\)", prose(page)):
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), f"{page}: {target}"
        headings = re.findall(r"^#+ (.*)$", FENCED.sub("", file.read_text()), flags=re.MULTILINE) if anchor else []
        assert not anchor or anchor in map(slug, headings), f"{page}: {target}"


def test_the_site_has_every_page_and_asks_for_nothing_from_elsewhere() -> None:
    assert sorted(NAV) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    assert SITE["theme"]["font"] is False
    assert "://" not in (ROOT / "mkdocs.yml").read_text()
    for picture in (ROOT / "docs" / "pictures").iterdir():
        assert picture.stat().st_size < 300_000
        assert picture.suffix != ".svg" or not re.search(r"url\((?!#)|@import|<script|href=", picture.read_text())


def test_the_readme_is_short_and_the_site_is_built_strictly() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 150
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^docs: .*\n(\t.*\n)*\t\$\(BIN\)/mkdocs build --strict$", makefile, flags=re.MULTILINE)
    assert "$(BIN)/python docs/generate.py" in makefile
    assert f"{SITE['site_dir']}/" in (ROOT / ".gitignore").read_text().splitlines()
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    wanted = [re.split(r"[\[><=,]", each)[0] for each in PROJECT["optional-dependencies"]["docs"]]
    assert wanted
    assert set(wanted) <= set(pinned)
