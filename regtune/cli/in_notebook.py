"""Progress in a notebook: one output of the cell that is drawn again and again, as plain text in the page's colours."""

from __future__ import annotations

import io
import threading
from html import escape

from rich.console import Console, RenderableType

SECONDS_BETWEEN_DRAWINGS = 1.0
WIDTH = 100  # characters


def drawn_as_html(renderable: RenderableType) -> str:
    """Return what a terminal would show, without its colours, which are made for one background."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_jupyter=False, force_terminal=False)
    console.print(renderable)
    text = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]
    return f'<pre style="line-height: 1.2">{escape(text)}</pre>'


class Output:
    """An output of a cell that shows a thing as it is now, drawn by a thread until it is closed."""

    def __init__(self, shown: RenderableType) -> None:
        from IPython.display import HTML, display  # every notebook has it

        self._shown, self._html, self._over = shown, HTML, threading.Event()
        self._handle = display(HTML(drawn_as_html(shown)), display_id=True)
        self._writer = threading.Thread(target=self._draw, daemon=True)
        self._writer.start()

    def close(self, *, leave: bool) -> None:
        """Draw it for the last time; leave nothing of it unless it is to stay."""
        self._over.set()
        self._writer.join()
        self._handle.update(self._html(drawn_as_html(self._shown) if leave else ""))

    def _draw(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_DRAWINGS):
            self._handle.update(self._html(drawn_as_html(self._shown)))
