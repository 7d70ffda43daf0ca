"""How soon an epoch is on the page: from the row in the log to the words on the screen of a browser.

`python benchmarks/service_page.py --epochs 40` serves a made-up sweep, opens its page and that of a trial of it in a
Chromium, and appends an epoch to the log every so often. The pages note when they first show it. Prints percentiles
for both pages, and how many epochs took longer than the two seconds that are asked for. No test asserts on these
seconds: they are also those of whatever else the machine does. Needs chromium and playwright.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from regtune.storage.layout import LOG
from regtune.storage.log import Log, read_log
from tests.conftest import write_log
from tests.made_up import made_up_log
from tests.served import API, served, settings

ASKED = 2.0  # seconds from an epoch to the page
BETWEEN = 1.5  # seconds between two epochs; they fall anywhere between two looks of the service
# The page notes when it first shows so many epochs.
NOTE = """() => {
    window.seen = {};
    const look = () => {
        const found = document.querySelector("main").innerText.match(/([0-9]+) epochs/);
        if (found) window.seen[found[1]] ??= Date.now() / 1000;
    };
    const all = { subtree: true, childList: true, characterData: true };
    new MutationObserver(look).observe(document.querySelector("main"), all);
    look();
}"""


def measured(epochs: int, folder: Path) -> dict[str, list[float]]:
    """Return after how many seconds each epoch was on the page of the sweep and on that of the trial."""
    rows, _ = read_log(made_up_log(folder / "whole", {"baseline": [0.6], "dropout": [0.7]}, epochs=epochs + 1) / LOG)
    log = folder / "results" / "one" / LOG
    write_log(log, rows[:4])  # the header, and a trial with its first epoch
    views = {"sweep": "#/sweep/one", "trial": "#/sweep/one/trials/baseline/search/0"}
    with served(settings(folder / "results")) as client, Log(log) as writer, sync_playwright() as playwright:
        base = str(client.base_url).removesuffix("/").removesuffix(API)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        pages = {name: browser.new_page() for name in views}
        for name, page in pages.items():
            page.goto(f"{base}/{views[name]}")
            page.get_by_text("1 epochs").first.wait_for()
            page.evaluate(NOTE)
        written = {}
        for number in range(2, epochs + 2):
            row = rows[number + 2]
            writer.append(row["event"], {key: value for key, value in row.items() if key not in ("event", "time")})
            written[number] = time.time()
            time.sleep(BETWEEN * random.uniform(0.5, 1.5))  # noqa: S311 - nothing secret
        found = {name: _ages(page, written) for name, page in pages.items()}
        browser.close()
    return found


def _ages(page: Page, written: dict[int, float]) -> list[float]:
    page.get_by_text(f"{max(written)} epochs").first.wait_for()
    seen = {int(number): moment for number, moment in page.evaluate("window.seen").items()}
    # Two that came between two looks are shown at once.
    return sorted(min(seen[later] for later in seen if later >= number) - moment for number, moment in written.items())


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, ages in measured(given.epochs, Path(folder)).items():
            words = ", ".join(f"p{100 * at:.0f} {ages[int(at * (len(ages) - 1))]:.2f} s" for at in (0.5, 0.95, 1))
            late = sum(age > ASKED for age in ages)
            print(
                f"page of the {name}: an epoch is on it after {words}; {late} of {len(ages)} after more than {ASKED} s"
            )


if __name__ == "__main__":
    main()
