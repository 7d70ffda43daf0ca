"""The pictures of the README and the site, from a results folder: `make pictures`.

    python docs/pictures.py results/quickstart

The live display is replayed from the log, as it was when a part of the events had come. The report is what a Chromium
on the PATH shows. The pictures are those of one run: another has other times, and on another machine other numbers.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import tempfile
import time
from pathlib import Path
from unittest import mock

from rich.console import Console

from regtune.cli.progress import Progress
from regtune.core.records import Json
from regtune.reports.figures.catalog import drawn
from regtune.reports.page.report import page
from regtune.reports.tables.folder import read_folder
from regtune.storage.log import read_log
from regtune.sweep.sweep import Sweep

TO = Path(__file__).resolve().parent / "pictures"
SHOWN = 0.18  # of the events of a sweep: search is under way
COLUMNS = 92
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1260  # of the window, in pixels: the whole table is in it
LINES = 90  # pixels of the caption below the table
FONTS = re.compile(r"@font-face \{.*?\}", flags=re.DOTALL)  # rich's are fetched from elsewhere; ours are on the machine


def display(sweep: Sweep, rows: list[Json], command: str) -> str:
    """Return the live display as SVG, as it was when the last of these rows came."""
    timed = [(row["time"], {key: value for key, value in row.items() if key != "time"}) for row in rows]
    with mock.patch.object(time, "monotonic") as clock:
        clock.return_value = timed[0][0]
        progress = Progress(sweep)
        for moment, row in timed:
            clock.return_value = moment
            progress.watch(row["event"], row)
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor", force_terminal=True)
        console.print(progress)
    return FONTS.sub("", console.export_svg(title=command, unique_id="display"))


def report(folder: Path, to: Path) -> None:
    """Write the beginning of the report of a results folder, and its first chart, as a browser shows them."""
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"pictures: expected a browser on the PATH, one of {', '.join(BROWSERS)}; found none")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        html = Path(scratch) / "report.html"
        shown = read_folder(folder)
        html.write_text(page(shown, drawn(shown.first)), encoding="utf-8")
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])  # it may run as root
        seen = started.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        seen.goto(html.as_uri())
        chart = seen.locator(".chart").first
        chart.locator("svg.marks, canvas.marks").wait_for()
        table = seen.locator("table").first.bounding_box()
        if table is None:
            raise SystemExit(f"pictures: expected a table in the report of {folder}, found none")
        height = table["y"] + table["height"] + LINES
        seen.screenshot(path=to / "report.png", clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        chart.screenshot(path=to / "effects.png")
        started.close()


def main() -> None:
    """Write the pictures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("results", type=Path, help="the results folder of a sweep that has ended")
    arguments.add_argument("--sweep", type=Path, default=TO.parent.parent / "sweeps" / "quickstart.toml")
    given = arguments.parse_args()
    TO.mkdir(exist_ok=True)
    rows, _ = read_log(given.results / "log.jsonl")
    sweep = Sweep.read(given.sweep)
    events = [row for row in rows if "cell" in row]
    text = display(sweep, events[: int(SHOWN * len(events))], f"regtune run {given.sweep.name}")
    (TO / "display.svg").write_text(text, encoding="utf-8")
    report(given.results, TO)
    for path in sorted(TO.iterdir()):
        print(f"wrote {path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
