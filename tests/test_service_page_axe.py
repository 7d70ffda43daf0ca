"""axe-core finds nothing serious on the views of the service's page, light and dark."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest

from regtune.storage.layout import LOG
from tests.conftest import OnPage
from tests.made_up import made_up_log
from tests.served import settings

pytestmark = pytest.mark.browser
BAD = "serious", "critical"
VIEWS = {
    "": "one",
    "#/sweep/one": "Score against each knob",
    "#/new": "Sweep file",
    "#/sweep/one/trials/dropout/search/0": "Train it again",
    "#/sweep/broken": "damaged, no trials",
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_finding_is_serious(on_page: OnPage, tmp_path: Path, dark: bool) -> None:
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = (importlib.resources.files(package) / "axe.min.js").read_text(encoding="utf-8")
    log = made_up_log(tmp_path / "broken", {"baseline": [0.6], "dropout": [0.7]}) / LOG
    log.write_bytes(log.read_bytes().replace(b'"ok"', b'"OK"', 1))
    made_up_log(tmp_path / "one", {"baseline": [0.6, 0.61, 0.62], "dropout": [0.7, 0.71, 0.73]})
    found = []
    # The page's own rule against scripts of others holds for axe too.
    with on_page(settings(tmp_path), dark=dark, width=1280, foreign=True) as shown:
        page = shown.page
        for view, sign in VIEWS.items():
            shown.go(view)
            page.get_by_text(sign).first.wait_for()
            page.evaluate(axe)
            for each in page.evaluate("() => axe.run()")["violations"]:
                if each["impact"] in BAD:
                    found.append((view, each["id"], [part["html"] for part in each["nodes"]]))
    assert found == []
