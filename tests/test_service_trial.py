"""The page of a trial: what the log has of it, its curve, and a command that trains it again."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from regtune.results.loader import load
from tests.command_line import called
from tests.conftest import SWEEP, OnPage
from tests.made_up import made_up_log
from tests.served import error_of, served, settings

SMALL = SWEEP.replace("trials = 4", "trials = 1").replace("seeds = 3", "seeds = 1").replace("epochs = 6", "epochs = 2")


def test_the_command_of_a_trial_trains_it_to_the_same_numbers(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    results = tmp_path / "my results"
    called("run", str(tmp_path / "small.toml"), "--results", str(results), "--in-process", folder=tmp_path)
    with served(settings(results)) as client:
        found = client.get("/sweeps/small/trials/dropout/search/0").json()
        assert client.get("/sweeps/small/trials/dropout/search/9").status_code == 404
        assert "dropout/search/9" in error_of(client.get("/sweeps/small/trials/dropout/search/9"))["message"]
    key = next(key for key in load(results / "small").plain_trials if str(key) == "dropout/search/0")
    assert found["trial"] == load(results / "small").plain_trials[key]
    assert (found["status"], found["trial"]["recipe"][0]["name"]) == ("ok", "dropout")
    words = shlex.split(found["command"])
    assert words[0] == "regtune"
    assert "identical: every number of 2 epochs" in called(*words[1:], folder=tmp_path).stdout


@pytest.mark.browser
def test_a_trial_is_found_among_those_of_an_arm_and_read(on_page: OnPage, tmp_path: Path) -> None:
    seeds = [0.6 + 0.001 * k for k in range(30)]
    made_up_log(tmp_path / "one", {"baseline": seeds, "<b>dropout": seeds})
    with on_page(settings(tmp_path), "#/sweep/one", dark=True) as shown:
        page = shown.page
        page.get_by_text("66 trials", exact=True).wait_for()
        page.get_by_role("combobox").nth(0).select_option("<b>dropout")
        page.get_by_text("33 trials", exact=True).wait_for()
        page.get_by_role("combobox").nth(1).select_option("confirm")
        page.get_by_text("30 trials", exact=True).wait_for()
        page.get_by_role("button", name="Next").click()
        page.get_by_role("link", name="<b>dropout/confirm/29", exact=True).wait_for()
        page.reload()  # the address keeps what is shown
        page.get_by_role("link", name="<b>dropout/confirm/29", exact=True).click()
        page.get_by_role("heading", name="<b>dropout/confirm/29", level=1).wait_for()
        page.get_by_role("img", name="Accuracy by epoch, 4 epochs: train from 0.1573 to 0.629").wait_for()
        assert "--row '<b>dropout/confirm/29'" in page.get_by_label("Command").inner_text()
        assert '"seed": 29' in page.get_by_label("Trial", exact=True).inner_text()
        assert shown.fits()
