"""What a terminal shows of results folders: the answer first, then one table that fits, then where the rest is."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from regtune.ledger import warnings
from regtune.reports.answer import answer_lines
from regtune.reports.caption import conclusion, subject
from regtune.reports.failures import failures_words
from regtune.reports.folder import repeats_in
from regtune.reports.headroom import headroom
from regtune.reports.labels import labels
from regtune.reports.narrow import flowed, narrow
from regtune.reports.scores import scores_as_text
from regtune.reports.searches import over_searches, searches_as_text
from regtune.reports.searches_caption import searches_conclusion, searches_sentences
from regtune.reports.tables import tables
from regtune.reports.together import Together, together
from regtune.reports.together_words import caveats, conclusion_over_sweeps, sentences_over_sweeps, table_over_sweeps
from regtune.store import Results

KEPT = 2  # columns that are shown whatever the width: the arm, and what the table is about
# The most important columns of the tables over seeds and over repeats; the others come behind these as they are.
FIRST = ("arm", "difference", "verdict", "n", "repeats", "relevant", "test accuracy %", "better in %")

FURTHER = "The report with its figures, and all tables with their captions:"


def brief(folders: Sequence[Path], width: int) -> str:
    """Return what is said of results folders in lines of at most `width` cells, with a newline at the end.

    Of each: one line for each verdict, one table without its caption, and what must be known beside it; where there
    are repeats, over whole searches. Of several folders the table over all of them comes last. A line is longer only
    where the name of an arm and its difference, or a command with its folders, need it.
    """
    sweeps = [repeats_in(folder) for folder in folders]
    parts = [sweep_brief(repeats, width) for repeats in sweeps]
    if len(sweeps) > 1:
        firsts = [repeats[0] for repeats in sweeps]
        names = [flowed(label.split(), width) for label in labels(firsts)]
        parts = [f"{name}\n{'=' * min(width, len(name))}\n{part}" for name, part in zip(names, parts, strict=True)]
        parts.append(_together_brief(together(firsts), width))
    return "\n".join([*parts, _further(folders, width)])


def sweep_brief(repeats: Sequence[Results], width: int) -> str:
    """Return the answer of a sweep, given as its repeats, its table, and what must be known beside it."""
    first, whole = repeats[0], over_searches(repeats)
    if whole is None:
        found = tables(first)
        rows, text, unit, which = found.rows, scores_as_text(found.rows), "seeds", conclusion(first)
        sentences = [*found.scores.sentences, *first.notes, *found.budget.sentences]
    else:
        rows, text, unit, which = whole, searches_as_text(whole), "repeats", searches_conclusion(first)
        sentences = searches_sentences(repeats, whole)
        sentences += [f"Repeat {results.repeat}: {each}" for results in repeats for each in warnings(results)]
    sentences += [*_ended(repeats), headroom(repeats)]
    return _joined(
        answer_lines(rows, width, unit),
        [flowed(f"{which} {subject(first)}".split(), width, indent="")],
        [narrow(_ordered(text, rows), width, kept=KEPT)],
        [flowed(["-", *sentence.split()], width) for sentence in sentences if sentence],
    )


def _ordered(text: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns by importance, and verdicts alone: further seeds are nothing without their small print."""
    first = [name for name in FIRST if name in text]
    return text.assign(verdict=rows["verdict"])[first + [name for name in text if name not in FIRST]]


def _ended(repeats: Sequence[Results]) -> list[str]:
    """Return how trials ended in each repeat in which not all did, or not well."""
    words = [(results.repeat, failures_words(results)) for results in repeats if not _all_well(results)]
    return [text if len(repeats) == 1 else f"Repeat {number}: {text}" for number, text in words]


def _all_well(results: Results) -> bool:
    return bool(results.trials["status"].isin(["ok", "pruned", "unneeded"]).all())


def _together_brief(found: Together, width: int) -> str:
    return _joined(
        [flowed(sentence.split(), width) for sentence in sentences_over_sweeps(found)],
        [flowed(conclusion_over_sweeps(found).split(), width, indent="")],
        [narrow(table_over_sweeps(found), width, kept=KEPT)],
        [flowed(["-", *sentence.split()], width) for sentence in caveats(found)],
    )


def _further(folders: Sequence[Path], width: int) -> str:
    """Return the commands that show the rest; they are not broken, so that they can be copied."""
    names = shlex.join(map(str, folders))
    words = flowed(FURTHER.split(), width, indent="")
    return f"{words}\n  regtune report {names}\n  regtune table {names} --full\n"


def _joined(*blocks: Iterable[str]) -> str:
    """Return blocks of lines with an empty line between them; those without a line are left out."""
    return "\n\n".join(filter(None, ("\n".join(block) for block in blocks))) + "\n"
