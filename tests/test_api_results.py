"""What `regtune.load` returns: every table, figure, the report and the networks, from one object."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import pytest
import torch

import regtune
from regtune.analysis.comparison import comparison
from regtune.api.plots import Plots
from regtune.api.results import Results
from regtune.core.errors import Refused
from regtune.core.records import Trial
from regtune.data import pixels
from regtune.execution.export import export
from regtune.reports.brief import brief
from regtune.reports.figures.catalog import FIGURES
from regtune.reports.output import formatted
from regtune.training.build import load_data
from tests.resuming import SMALL, ran

KEPT = SMALL.replace("weights = false", "").replace("seeds = 2", "seeds = 3")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return regtune.load(ran(tmp_path_factory.mktemp("kept"), KEPT).parent)


def test_tables_are_those_of_the_commands(results: Results) -> None:
    pd.testing.assert_frame_equal(results.table(), comparison(results))
    assert regtune.table(results).equals(results.table())
    for form in ("md", "csv", "latex", "html", "json"):
        assert results.table(form) == formatted([results.path], form)
    assert list(results.tables) == ["scores", "metrics", "budget", "tuning", "spread"]
    assert results.tables["scores"].frame["arm"].tolist() == ["baseline", "dropout"]
    with pytest.raises(Refused, match=r"^table: unknown format 'mdd' \(did you mean 'md'\?\)$"):
        results.table("mdd")  # type: ignore[call-overload]


def test_a_table_that_is_changed_changes_no_other(results: Results) -> None:
    mine = results.table()
    mine["verdict"] = "mine"
    assert results.verdicts() == dict(zip(["dropout"], comparison(results)["verdict"][1:], strict=True))
    assert set(results.verdicts().values()) <= {"better", "worse", "unresolved"}


def test_it_prints_the_answer_and_is_shown_in_a_line(results: Results) -> None:
    assert str(results) == brief([results.path], 80)
    assert repr(results) == f"<results of small in {results.path}: 2 arms, 10 of 10 planned trials ended>"


def test_every_figure_of_the_report_has_a_method_that_says_what_it_shows(results: Results) -> None:
    methods = {name for name, member in vars(Plots).items() if inspect.isfunction(member) and name[0] != "_"}
    names = [spec.draw.__name__ for spec in FIGURES]
    assert methods - {"caption"} == set(names)
    assert results.plot.names == names
    for name in names:
        assert results.plot.caption(name)
        assert inspect.getdoc(getattr(Plots, name))


def test_figures_are_charts_with_their_data(results: Results, tmp_path: Path) -> None:
    chart = results.plot.effects()
    assert isinstance(chart, alt.LayerChart)
    assert chart.to_dict() == results.plot("effects").to_dict()
    assert "dropout" in json.dumps(chart.to_dict())
    chart.properties(title="mine").save(tmp_path / "effects.html")
    assert isinstance(results.plot.confirmed_curves(), alt.FacetChart)


def test_figures_of_many_rows_are_shown_too(results: Results) -> None:
    """Altair by itself refuses tables of more than 5,000 rows."""
    curves = pd.concat([results.epochs.assign(number=results.epochs["number"] + 10 * n) for n in range(10)])
    many = Results(**{**_fields(results), "epochs": curves})
    with alt.data_transformers.enable("default", max_rows=20):
        assert many.plot.searched_curves().to_dict()


def _fields(results: Results) -> dict[str, Any]:
    return {name: value for name, value in vars(results).items() if name in Results.__dataclass_fields__}


def test_a_figure_that_cannot_be_drawn_says_why(results: Results) -> None:
    with pytest.raises(Refused, match=r"^plot\.magnitudes: No arm "):
        results.plot.magnitudes()
    with pytest.raises(Refused, match=r"^plot: unknown figure 'efects' \(did you mean 'effects'\?\)$"):
        results.plot("efects")


def test_the_report_is_written_where_it_is_asked_for(results: Results, tmp_path: Path) -> None:
    page = results.report(tmp_path / "r.html")
    assert page == tmp_path / "r.html"
    assert "dropout" in page.read_text()
    assert (tmp_path / "r-figures" / "effects.svg").is_file()


def test_the_best_network_has_the_test_accuracy_of_its_trial(results: Results) -> None:
    best = results.best("dropout")
    confirmed = results.confirmed[results.confirmed["arm"] == "dropout"]
    assert best.metrics["val_accuracy"] == confirmed["val_accuracy"].max()
    assert best.knobs == results.chosen["dropout"]
    assert [row["name"] for row in best.trial.recipe] == ["dropout"]
    assert repr(best).startswith(f"<dropout/confirm/{best.key.number} of small: {{'optimizer.learning_rate': ")
    test = load_data(best.trial).test
    assert test is not None
    net = best.load()
    assert not net.training
    right = sum(int((net(pixels(x, torch.float32)).argmax(-1) == y).sum()) for x, y in test.batches(64).labelled())
    assert right / len(test) == best.metrics["test_accuracy"]
    assert isinstance(best.trial, Trial)
    assert isinstance(net.net, torch.nn.Module)


def test_what_has_no_best_network_is_refused(results: Results, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"^arm: unknown arm 'drop' \(did you mean 'dropout'\?\)$"):
        results.best("drop")
    lost = Results(**{**_fields(results), "trials": results.trials.assign(status="failed")})
    with pytest.raises(Refused, match=r"^arm dropout: expected a confirmed trial that ended ok, given none in "):
        lost.best("dropout")
    off = Results(**{**_fields(results), "choices": replace(results.choices, off=frozenset({"dropout"}))})
    for given, arm in ((results, "drop"), (lost, "dropout"), (off, "dropout")):
        with pytest.raises(Refused) as asked:
            given.best(arm)
        with pytest.raises(Refused) as exported:
            export(given, arm, None, tmp_path)
        assert str(asked.value) == str(exported.value)
    assert str(asked.value).endswith("it is as good off; take the network of 'baseline'")
    assert list(tmp_path.iterdir()) == []


def test_with_repeats_tables_are_over_whole_searches(tmp_path: Path) -> None:
    from regtune.execution.repeats import run_all
    from regtune.execution.run import RunOptions
    from tests.resuming import read

    sweep = read(tmp_path, SMALL.replace("trials = 2", "trials = 1\nrepeats = 2"))
    run_all(sweep, tmp_path, RunOptions(in_process=True))
    results = regtune.load(sweep.folder(tmp_path))
    assert results.table()["n"].tolist() == [2, 2]
    assert results.table("csv") == formatted([results.path], "csv")
    assert list(results.verdicts()) == ["dropout"]
