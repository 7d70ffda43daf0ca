r"""Tables for a paper: LaTeX with booktabs (`\usepackage{booktabs}`), one `table` each."""

from __future__ import annotations

import re

from regtune.reports.tables import Table

LEFT_OUT = ("knobs chosen", "seconds", "data %")  # too wide for a page; they are in the other formats
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
    """Return a float with caption and table; what must be said of it stands at the end of the caption."""
    frame = table.frame.drop(columns=[*LEFT_OUT], errors="ignore")
    words = " ".join([table.caption, *table.sentences])
    rows = [" & ".join(map(_cell, row)) + r" \\" for row in frame.astype(str).itertuples(index=False)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(words)}}}",
            rf"\begin{{tabular}}{{{'l' + 'r' * (len(frame.columns) - 1)}}}",
            r"\toprule",
            " & ".join(map(escaped, frame.columns)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
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
