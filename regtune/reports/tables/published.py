"""Published figures beside ours: per arm the mean, the figure, the difference, and what the protocols differ in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from regtune.analysis.columns import mean_columns
from regtune.analysis.families import confirmed_scores, repeat_means
from regtune.analysis.repeats import counted_repeats
from regtune.core.metric import ACCURACY
from regtune.core.records import Json
from regtune.reports.published_figures import Figure, Published
from regtune.reports.tables._table import Table
from regtune.reports.tables.folder import FolderTables
from regtune.reports.text import interval, number
from regtune.results.loader import Results

NONE = "–"  # in the cell of what there is not
NUMBERS = ("ours", "ours_low", "ours_high", "published", "published_spread", "difference")


def published_rows(sweep: FolderTables, name: str, table: Published) -> pd.DataFrame:
    """Return one row for each published figure, those with an arm first, and for each other arm.

    Figures are in percent of the table's measure. `arm` is empty for figures of no arm, `label` for arms that no
    figure belongs to. `n` counts what the mean is over: seeds, or repeats where the sweep has them.
    """
    results = sweep.first.results
    meant = [(_arm_of(figure, results), figure) for figure in table.figures]
    rows = [_row(arm, _ours(sweep, arm, table), figure) for arm, figure in meant if arm]
    beside = {arm for arm, _ in meant}
    rows += [_row(arm, _ours(sweep, arm, table), None) for arm in results.sweep.arms if arm not in beside]
    rows += [_row("", {}, figure) for arm, figure in meant if not arm]
    frame = pd.DataFrame(rows)
    order = {arm: place for place, arm in enumerate(results.sweep.arms)}
    frame = frame.sort_values("arm", key=lambda arms: arms.map(order).fillna(len(order)), kind="stable")
    frame.insert(0, "table", name)
    frame.insert(0, "sweep", results.sweep.name)
    return frame.reset_index(drop=True)


def published_table(sweep: FolderTables, name: str, table: Published) -> Table:
    """Return the published figures beside ours as text, every difference of protocol below."""
    frame = published_rows(sweep, name, table)
    rows = frame.to_dict("records")
    text = pd.DataFrame(
        {
            "arm": frame["arm"].replace("", NONE),
            f"test {table.measure} %": [
                interval(row["ours"], row["ours_low"], row["ours_high"], factor=1) for row in rows
            ],
            "n": [str(row["n"]) if row["arm"] else NONE for row in rows],
            "published %": [_figure(row) for row in rows],
            "ours - published": [number(row["difference"], "+.2f") for row in rows],
            "published as": frame["label"].replace("", NONE),
        }
    )
    unit = "repeats of the search" if len(sweep.logs) > 1 else "seeds"
    caption = (
        f"Our figures beside published ones; which protocols differ is said below. Published: {table.source}, "
        f"{table.table}, on {table.protocol.data} with {table.protocol.network}; read {table.read}. Ours: "
        f"{results_words(sweep.first.results)}, mean of n {unit} with its 95 % interval; differences in points."
    )
    return Table(
        title=f"Beside {table.source}", caption=caption, frame=text, sentences=[*_missing(rows), *notes(sweep, table)]
    )


def published_object(sweep: FolderTables, name: str, table: Published) -> Json:
    """Return the same for JSON, None for what is not known."""
    frame = published_rows(sweep, name, table).astype(object)
    return {
        "sweep": sweep.first.results.sweep.name,
        "table": name,
        "source": table.source,
        "where": table.table,
        "read": table.read,
        "measure": f"test {table.measure} %",
        "protocol": table.protocol.model_dump(),
        "rows": frame.where(frame.notna(), None).drop(columns=["sweep", "table"]).to_dict("records"),
        "notes": published_table(sweep, name, table).sentences,
    }


def results_words(results: Results) -> str:
    """Return on what a sweep is, in a few words."""
    template = results.sweep.template
    return f"{results.sweep.name}, {template['network']['name']} on {template['data']['name']}"


def notes(sweep: FolderTables, table: Published) -> list[str]:
    """Return what the protocols differ in, as far as a sweep tells, and what is published of the protocol."""
    protocol = table.protocol
    pairs = [f"{what}: published {theirs}, ours {own}." for what, theirs, own in _differences(sweep, table)]
    said = [f"Published figures: {protocol.summary}."] if protocol.summary else []
    said += [f"± is {protocol.spread}."] if protocol.spread else []
    return [*pairs, *said, *protocol.notes]


def _differences(sweep: FolderTables, table: Published) -> Iterator[tuple[str, str, str]]:
    protocol, results = table.protocol, sweep.first.results
    template = results.sweep.template
    data, network = template["data"], template["network"]
    if not _same(protocol.data_is, data):
        yield "Data", protocol.data, _settings({k: v for k, v in data.items() if k in ("name", "path", *CHANGES)})
    changed = {key: data[key] for key, usual in CHANGES.items() if data.get(key, usual) != usual}
    if changed and _same(protocol.data_is, data) and not _same(changed, protocol.data_is):
        yield "Labels and pixels", "as they are", _settings(changed)
    if not _same(protocol.network_is, network):
        yield "Network", protocol.network, _settings(network)
    train = data["train"] or "all that validation leaves"
    updates = None
    if isinstance(train, int):
        updates = template["epochs"] * math.ceil(train / template["batch"])
    for what, theirs, own in (
        ("Training examples", protocol.train, train),
        ("Epochs", protocol.epochs, template["epochs"]),
        ("Updates", protocol.updates, updates),
        ("Batch", protocol.batch, template["batch"]),
    ):
        unknown = what not in ("Epochs", "Updates") or (protocol.epochs is None and protocol.updates is None)
        if theirs is None and unknown and what != "Updates":
            yield what, "not known", f"{own:,}" if isinstance(own, int) else str(own)
        elif theirs is not None and theirs != own:
            yield what, f"{theirs:,}", f"{own:,}" if isinstance(own, int) else str(own or "not known")
    seeds = results.sweep.confirm.seeds
    if protocol.n != seeds or len(sweep.logs) > 1:
        times = f" in each of {len(sweep.logs)} repeats" if len(sweep.logs) > 1 else ""
        yield "Seeds", "not known" if protocol.n is None else str(protocol.n), f"{seeds}{times}"


CHANGES: Mapping[str, Any] = {"label_noise": 0.0, "pixels": "true"}  # of a data set, and what leaves it as it is


def _same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether settings are known, and are these."""
    return bool(wanted) and all(found.get(name) == value for name, value in wanted.items())


def _settings(settings: Mapping[str, Any]) -> str:
    name = str(settings.get("name", ""))
    more = ", ".join(f"{key} = {value}" for key, value in settings.items() if key != "name" and value not in (None, ""))
    return f"{name} ({more})" if name and more else name or more


def _arm_of(figure: Figure, results: Results) -> str:
    """Return the arm that a figure belongs to; empty for none."""
    template = results.sweep.template
    if figure.data and template["data"]["name"] not in figure.data:
        return ""
    if figure.network and template["network"]["name"] not in figure.network:
        return ""
    return next((arm for arm in figure.arms if arm in results.sweep.arms), "")


def _ours(sweep: FolderTables, arm: str, table: Published) -> dict[str, Any]:
    """Return mean, interval and number of an arm's test accuracy, or error, in percent."""
    if len(sweep.logs) > 1:
        values = list(repeat_means(counted_repeats(sweep.repeats).counted, arm, ACCURACY).values())
    else:
        values = list(confirmed_scores(sweep.first.results, arm, ACCURACY).values())
    found = mean_columns(ACCURACY, values)
    mean, low, high = (100 * found[f"{ACCURACY.test}{end}"] for end in ("", "_low", "_high"))
    if table.measure == "error":
        mean, low, high = 100 - mean, 100 - high, 100 - low
    return {"n": found["n"], "ours": mean, "ours_low": low, "ours_high": high}


def _row(arm: str, ours: Mapping[str, Any], figure: Figure | None) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm, "label": figure.label if figure else "", "n": ours.get("n", 0)}
    row |= dict.fromkeys(NUMBERS, math.nan) | {k: v for k, v in ours.items() if k != "n"}
    if figure is not None:
        row |= {"published": figure.value, "also": figure.also}
        row |= {"published_spread": math.nan if figure.spread is None else figure.spread}
    row["difference"] = row["ours"] - row["published"]
    return {"also": "", **row}


def _figure(row: Mapping[Any, Any]) -> str:
    if math.isnan(row["published"]):
        return NONE
    spread = "" if math.isnan(row["published_spread"]) else f" ± {row['published_spread']:g}"
    also = f" ({row['also']})" if row["also"] else ""
    return f"{row['published']:.2f}{spread}{also}"


def _missing(rows: list[dict[Any, Any]]) -> Iterator[str]:
    """Yield what is missing on either side."""
    if ours := [row["arm"] for row in rows if row["arm"] and not row["label"]]:
        yield f"No published figure: {', '.join(ours)}."
    if theirs := [f"{row['label']}, {_figure(row)}" for row in rows if not row["arm"]]:
        yield f"Published, and no arm of this sweep: {'; '.join(theirs)}."
    if empty := [row["arm"] for row in rows if row["arm"] and not row["n"]]:
        yield f"No confirmed trial yet: {', '.join(dict.fromkeys(empty))}."
