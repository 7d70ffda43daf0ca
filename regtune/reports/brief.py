"""What a terminal shows of results folders: the answer first, then one table that fits, then where the rest is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from rich.cells import cell_len

from regtune.analysis.columns import metric_of
from regtune.analysis.failures import failures_words
from regtune.analysis.labels import labels
from regtune.analysis.sweeps import SweepsTogether, compare_sweeps
from regtune.core.html import html_folded, html_paragraphs, html_table
from regtune.reports.overfitting import hardly_overfits
from regtune.reports.tables._table import Table
from regtune.reports.tables.answer import answer_lines
from regtune.reports.tables.caption import conclusion, subject
from regtune.reports.tables.folder import FolderTables, read_folder
from regtune.reports.tables.repeats import repeats_as_text, repeats_conclusion
from regtune.reports.tables.scores import scores_as_text
from regtune.reports.tables.sweeps import caveats, conclusion_over_sweeps, sentences_over_sweeps, table_over_sweeps
from regtune.reports.terminal import flowed, narrow
from regtune.results.loader import Results

KEPT = 2  # columns that are shown whatever the width: the arm, and what the table is about
# The most important columns of the tables over seeds and over repeats; the others come behind these as they are.
FIRST = ("arm", "difference", "verdict", "n", "repeats", "relevant", "test", "better in %")

UNITS = "Differences: {unit} of test {words}{sign}, with simultaneous 95 % intervals."
FURTHER = "The report with its figures, and all tables with their captions:"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is shown of a sweep, or of several together, before it is fitted to a width.

    `answer` are lines in pieces that are not broken, `which` says what may be concluded from the `table`, whose
    columns stand in the order of their importance; `sentences` are what must be known beside it.
    """

    answer: Sequence[Sequence[str]]
    which: str
    table: pd.DataFrame
    sentences: Sequence[str]
    name: str = ""

    def html(self) -> str:
        """Return it for a notebook."""
        rows = self.table.astype(str).itertuples(index=False)
        table = html_table([str(name) for name in self.table.columns], rows)
        said = html_folded("What this says, and what it cannot say", [self.which, *self.sentences])
        return html_paragraphs(" ".join(line) for line in self.answer) + table + said


def brief(folders: Sequence[Path], width: int) -> str:
    """Return what is said of results folders in lines of at most `width` cells, with a newline at the end.

    Of each: one line for each verdict, one table without its caption, and what must be known beside it; where there
    are repeats, over whole searches. Of several folders the table over all of them comes last. A line is longer only
    where the name of an arm and its difference, or a command with its folders, need it.
    """
    return brief_of([read_folder(folder) for folder in folders], folders, width)


def brief_of(sweeps: Sequence[FolderTables], folders: Sequence[Path], width: int) -> str:
    """Return what is said of folders that have been read, see `brief`; the commands at its end name them as given."""
    return "\n".join([*(fit_to_width(part, width) for part in parts(sweeps)), _further(folders, width)])


def parts(sweeps: Sequence[FolderTables]) -> list[Part]:
    """Return what is shown of each folder, and of several what is shown of all together."""
    if len(sweeps) == 1:
        return [_sweep(sweeps[0])]
    named = zip(sweeps, labels([sweep.first.results for sweep in sweeps]), strict=True)
    over_all = compare_sweeps([sweep.first.analysis for sweep in sweeps])
    return [*(replace(_sweep(sweep), name=label) for sweep, label in named), _over_sweeps(over_all)]


def fit_to_width(part: Part, width: int) -> str:
    """Return a part in lines of at most `width` cells: blocks with an empty line between them."""
    name = flowed(part.name.split(), width)
    blocks = [
        [*([name, "=" * min(width, cell_len(name))] if name else []), *(flowed(line, width) for line in part.answer)],
        [flowed(part.which.split(), width, indent="")],
        [narrow(part.table, width, kept=KEPT)],
        [flowed(["-", *sentence.split()], width) for sentence in part.sentences],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def tables_for_width(tables: Sequence[Table], width: int) -> str:
    """Return tables whose columns stand in the order of their importance, see `fit_to_width`."""
    parts = [
        Part(answer=(), which=t.conclusion, table=t.frame, sentences=[t.details, *t.sentences], name=t.title)
        for t in tables
    ]
    return "\n".join(fit_to_width(part, width) for part in parts)


def _sweep(sweep: FolderTables) -> Part:
    repeats, whole = sweep.repeats, sweep.repeat_scores
    first = repeats[0]
    metric = first.sweep.confirm.metric
    if whole is None:
        found = sweep.first
        rows, text, unit, which = found.rows, scores_as_text(found.rows), "seeds", conclusion(first)
        sentences = [*found.scores.sentences, *first.notes, *found.budget.sentences]
    else:
        rows, text, unit, which = whole, repeats_as_text(whole), "repeats", repeats_conclusion(first)
        budgets = [(log.results.repeat, each) for log in sweep.logs for each in log.analysis.warnings]
        sentences = [*sweep.sentences, *(f"Repeat {number}: {each}" for number, each in budgets)]
    return Part(
        answer=answer_lines(rows, unit),
        which=f"{which} {subject(first)} {UNITS.format(unit=metric.unit, words=metric.words, sign=metric.sign)}",
        table=by_importance(text, rows),
        sentences=list(filter(None, [*sentences, *_ended(repeats), hardly_overfits(repeats)])),
    )


def by_importance(text: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns by importance, and verdicts alone: further seeds are nothing without their small print.

    What verdicts are about stands in the lines above the table, and in each cell it would push other columns out.
    """
    head = metric_of(rows).head("test")
    first = [name for name in (head if each == "test" else each for each in FIRST) if name in text]
    return text.assign(verdict=rows["verdict"])[first + [name for name in text if name not in first]]


def _ended(repeats: Sequence[Results]) -> list[str]:
    """Return how trials ended in each repeat in which not all did, or not well."""
    words = [(results.repeat, failures_words(results)) for results in repeats if not _all_well(results)]
    return [text if len(repeats) == 1 else f"Repeat {number}: {text}" for number, text in words]


def _all_well(results: Results) -> bool:
    return bool(results.trials["status"].isin(["ok", "pruned", "unneeded"]).all())


def _over_sweeps(found: SweepsTogether) -> Part:
    return Part(
        answer=[sentence.split() for sentence in sentences_over_sweeps(found)],
        which=conclusion_over_sweeps(found),
        table=table_over_sweeps(found),
        sentences=caveats(found),
    )


def _further(folders: Sequence[Path], width: int) -> str:
    """Return the commands that show the rest; they are not broken, so that they can be copied."""
    names = shlex.join(map(str, folders))
    words = flowed(FURTHER.split(), width, indent="")
    return f"{words}\n  regtune report {names}\n  regtune table {names} --full\n"
