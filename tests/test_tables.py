"""The comparison table in every format, and what it says where the data say little."""

from __future__ import annotations

import gc
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regtune.analysis.comparison import comparison
from regtune.reports.formats import FORMATS
from regtune.reports.latex import escaped
from regtune.reports.output import formatted
from regtune.reports.tables._table import Table
from regtune.reports.tables.cannot_be_said import cannot_be_said
from regtune.results.loader import load
from tests.command_line import called
from tests.made_up import made_up_log

HOSTILE = r"a&b_%$#{}~^\input{x} [1] | <script> " + '"q"'
SPREAD = (0.5, 0.52, 0.49, 0.53)
BETTER = (0.7, 0.71, 0.69, 0.74)


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


def test_latex_escapes_what_would_be_commands(tmp_path: Path) -> None:
    text = formatted([made_up_log(tmp_path, {"base": SPREAD, HOSTILE: BETTER})], "latex")
    row = next(line for line in text.splitlines() if line.startswith(r"a\&b"))
    assert row.startswith(
        r"a\&b\_\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}input\{x\} {[}1{]} \textbar{} "
        r"\textless{}script\textgreater{} \textquotedbl{}q\textquotedbl{} & this configuration: better & "
    )
    unescaped = re.findall(r"(?<!\\)&", row)
    assert len(unescaped) == len(re.findall(r"(?<!\\)&", text.split(r"\toprule")[1].splitlines()[1]))
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == text.count(r"\begin{table}") == 5
    assert escaped("two\nlines\x00") == "two lines "


def test_the_latex_caption_says_n_test_correction_epoch_rule_and_budget(tmp_path: Path) -> None:
    text = formatted([made_up_log(tmp_path, {"base": SPREAD, "other": BETTER})], "latex")
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    for words in (
        "4 fresh seeds",
        "paired t-tests with Holm's correction",
        "at the kept epoch",
        "3 trials per arm of at most 4 epochs",
    ):
        assert words in caption


def test_json_is_strict_and_has_null_for_what_cannot_be_said(tmp_path: Path) -> None:
    (sweep,) = strict(formatted([made_up_log(tmp_path, {"base": SPREAD, "other": (0.5, None)})], "json"))["sweeps"]
    base, other = sweep["arms"]
    assert base["difference"] is None
    assert other["test_accuracy_low"] is None
    assert other["knobs"] == {"optimizer.learning_rate": 0.001}
    assert "other: one seed only, so no interval." in sweep["cannot_be_said"]


def test_csv_of_one_sweep_is_the_comparison_and_of_several_begins_with_their_names(tmp_path: Path) -> None:
    first = load(made_up_log(tmp_path / "a", {"base": SPREAD, "other": BETTER}, name="first"))
    second = load(made_up_log(tmp_path / "b", {"base": SPREAD}, name="second"))
    assert formatted([first.path], "csv") == comparison(first).to_csv(index=False)
    lines = formatted([first.path, second.path], "csv").splitlines()
    assert lines[0].startswith("sweep,arm,knobs,n,")
    assert [line.split(",")[0] for line in lines[1:]] == ["first", "first", "second"]
    assert formatted([first.path, second.path], "md").count("| arm") == 5 + 4 + 1
    both = strict(formatted([first.path, second.path], "json"))["sweeps"]
    assert [sweep["sweep"] for sweep in both] == ["first", "second"]


def test_html_escapes_names_and_is_well_formed(tmp_path: Path) -> None:
    text = formatted([made_up_log(tmp_path, {"base": SPREAD, HOSTILE: BETTER})], "html")
    assert "<script>" not in text
    stack: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert stack.pop() == tag

    Reader().feed(text)
    assert stack == []
    assert text.count("<tr>") == 4 * 3 + 2


POOR: dict[str, tuple[dict[str, tuple[float | None, ...]], tuple[str, ...], str]] = {
    "missing cells": ({"base": SPREAD, "other": (0.6, None, 0.61, None)}, ("ok",), "other: fewer than 3 seeds shared"),
    "an arm without a confirmed trial": ({"base": SPREAD, "other": (None,)}, ("ok",), "other: no result on"),
    "a baseline without one": ({"base": (None,), "other": SPREAD}, ("ok",), "No arm can be compared with base"),
    "one seed": ({"base": (0.5,), "other": (0.6,)}, ("ok",), "base, other: one seed only"),
    "no seed shared": ({"base": (0.5, None), "other": (None, 0.5)}, ("ok",), "other: no seed shared with base"),
    "identical scores": ({"base": (0.5,) * 4, "other": (0.6,) * 4}, ("ok",), "is the same for all seeds"),
    "all failed": ({"base": (None,), "other": (None,)}, ("failed", "diverged"), "base, other: no result on"),
    "no trial yet": ({"base": (None,)}, (), "base: no result on"),
}


@pytest.mark.parametrize("case", POOR)
@pytest.mark.parametrize("form", FORMATS)
def test_a_poor_log_still_gives_a_table_that_says_what_cannot_be_said(tmp_path: Path, case: str, form: str) -> None:
    confirmed, search, words = POOR[case]
    results = load(made_up_log(tmp_path, confirmed, search=search))
    text = formatted([results.path], form)
    assert all(arm in text for arm in confirmed)
    if form != "csv":
        assert words in text
    table = comparison(results)
    assert any(words in sentence for sentence in cannot_be_said(table))
    assert not (table["verdict"].isin(["better", "worse"])).any()
    assert not (table["test_accuracy_low"] == table["test_accuracy_high"]).any()


def test_several_folders_and_formats_on_the_command_line(tmp_path: Path) -> None:
    folders = [made_up_log(tmp_path / name, {"base": SPREAD}, name=name) for name in "ab"]
    done = called("table", *folders, "--format", "json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [sweep["sweep"] for sweep in strict(done.stdout)["sweeps"]] == ["a", "b"]
    refused = called("table", *folders, "--format", "latx", folder=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "did you mean 'latex'?" in refused.stderr


def test_reading_a_log_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    folder = made_up_log(tmp_path, {"base": SPREAD})
    load(folder)
    assert gc.isenabled()
    gc.disable()
    try:
        load(folder)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_caption_is_cut_behind_its_first_sentence_and_not_in_a_name() -> None:
    caption = "What varies, after X. Bouthillier et al. (2021). Shown: a deviation. More."
    table = Table(title="", caption=caption, frame=pd.DataFrame())
    assert table.conclusion == "What varies, after X. Bouthillier et al. (2021)."
    assert table.details == "Shown: a deviation. More."
