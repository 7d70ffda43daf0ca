r"""Tables for a paper: LaTeX with booktabs, one `table` each (`\usepackage{booktabs,graphicx}`)."""

from __future__ import annotations

import re

from regtune.reports.tables._table import Table

# Too much for a page; they are in the other formats.
LEFT_OUT = (
    "knobs chosen",
    "last epoch %",
    "train accuracy %",
    "distance",
    "searched %",
    "searched nats",
    "examples",
    "gradients",
    "data %",
)
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # after \\ or \midrule it would begin an option
    "]": "{]}",
    "–": "--",
    "±": r"$\pm$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def latex(table: Table) -> str:
    """Return a float with caption and table; what must be said of it stands at the end of the caption.

    It is in small print, and shrunk to the width of the line where it would be wider.
    """
    frame = table.frame.drop(columns=[*LEFT_OUT], errors="ignore")
    words = " ".join([table.caption, *table.sentences])
    rows = [" & ".join(map(_cell, row)) + r" \\" for row in frame.astype(str).itertuples(index=False)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{escaped(words)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{'l' + 'r' * (len(frame.columns) - 1)}}}",
            r"\toprule",
            " & ".join(map(escaped, frame.columns)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Return text in which LaTeX finds no command; line breaks and control characters become spaces."""
    return "".join(SPECIAL.get(sign, sign) for sign in re.sub(r"[\s\x00-\x1f\x7f]+", " ", text))


def _cell(text: str) -> str:
    """Return an escaped cell whose minus signs are those of numbers."""
    return re.sub(r"(?<![\w.])-(?=\d)", r"$-$", escaped(text))
