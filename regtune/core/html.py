"""Small tables of HTML, as notebooks show them: escaped, and in the colours of the page, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_LEFT = "text-align: left"
_WIDE = "max-width: 60em"


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """Return a table whose first column names its rows; without a head it has none."""
    names = "".join(f'<th scope="col" style="{_LEFT}">{escape(name)}</th>' for name in head)
    lines = []
    for name, *cells in rows:
        data = "".join(f'<td style="{_LEFT}">{escape(str(cell))}</td>' for cell in cells)
        lines.append(f'<tr><th scope="row" style="{_LEFT}">{escape(str(name))}</th>{data}</tr>')
    told = f'<caption style="{_LEFT}">{escape(caption)}</caption>' if caption else ""
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    return f"<table>{told}{top}<tbody>{''.join(lines)}</tbody></table>"


def html_paragraphs(texts: Iterable[str]) -> str:
    """Return texts below each other."""
    return "".join(f'<p style="{_WIDE}">{escape(text)}</p>' for text in texts)


def html_folded(summary: str, texts: Iterable[str]) -> str:
    """Return texts that are shown when they are asked for; nothing where there are none."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<details style="{_WIDE}"><summary>{escape(summary)}</summary><ul>{items}</ul></details>' if items else ""
