"""How the protocol of a sweep differs from a published one, as far as the sweep says it: a sentence for each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from regtune.analysis.repeats import counted_repeats
from regtune.core.records import Json, Retrain
from regtune.reports.published.matching import Match, corruption_words, same_network
from regtune.reports.published.reading import Part
from regtune.reports.tables.folder import FolderTables

RETRAINED: Mapping[Retrain, str] = {
    "none": "",
    "updates": "Here trained again on train + validation, for as many updates.",
    "epochs": "Here trained again on train + validation, for as many epochs.",
    "loss": "Here trained on with train + validation, until the loss of before was reached.",
}


def protocol_sentences(match: Match, sweep: FolderTables) -> list[str]:
    """Return what differs, what was not stated where the figures were read, and the notes of the published table."""
    part, results = match.part, match.results
    template, data = results.sweep.template, results.counted_data
    both = {
        "Training examples": (_examples(data, results.sweep.confirm.retrain), part.train),
        "Batch": (template["batch"], part.batch),
        **_length(part, template["epochs"], _updates(template, data)),
    }
    said = [
        *_network(part, template["network"]),
        *_data(part, data),
        *(
            f"{word}: {_count(ours)} here, {_count(theirs)} published."
            for word, (ours, theirs) in both.items()
            if theirs and ours != theirs
        ),
        _runs(part, sweep),
        f"Epoch: the kept one here, {part.epoch_rule} published." if part.epoch_rule else "",
        RETRAINED[results.sweep.confirm.retrain],
    ]
    unstated = [f"{word.lower()} ({_count(ours)} here)" for word, (ours, theirs) in both.items() if not theirs]
    said += [f"Not stated where the figures were read: {', '.join(unstated)}."] if unstated else []
    return [*filter(None, said), *_examples_alone(part), *(f"{note}." for note in part.notes)]


def _examples(data: Json, retrain: Retrain) -> int | str:
    """Return on how many examples the tested weights were trained: after a second training with those of validation."""
    train: int | str = data["train"]
    return train + int(data["validation"]) if retrain != "none" and isinstance(train, int) else train


def _network(part: Part, network: Json) -> list[str]:
    if same_network(part, network):
        return []
    settings = ", ".join(
        f"{knob} {value}" for knob, value in network.items() if knob in ("widths", "channels", "depth", "width")
    )
    return [f"Network: {network['name']}{f' ({settings})' if settings else ''} here, {part.network} published."]


def _data(part: Part, data: Json) -> list[str]:
    if data["name"] in part.data_is and part.corruption != "any":
        return []
    ours = " ".join(filter(None, (data["name"], data.get("path"))))
    words = corruption_words(data)
    if data["name"] in part.data_is:
        return [f"Data: {part.data} with {words} here."] if words != corruption_words({}) else []
    return [f"Data: {ours} here, {part.data} published."]


def _length(part: Part, epochs: int, updates: int | None) -> dict[str, tuple[int | str, int | None]]:
    """Return the length of training in the unit in which it was published."""
    return {"Updates": (updates, part.updates)} if part.updates and updates else {"Epochs": (epochs, part.epochs)}


def _updates(template: Json, data: Json) -> int | None:
    """Return the updates of a whole training; None where the log does not say how many examples "all" are."""
    train = data["train"]
    return template["epochs"] * math.ceil(train / template["batch"]) if isinstance(train, int) else None


def _runs(part: Part, sweep: FolderTables) -> str:
    confirm = sweep.first.results.sweep.confirm
    seeds = f"{'up to ' if confirm.racing else ''}{_times(confirm.seeds, 'seed')}"
    ours = f"mean of {seeds}"
    if len(sweep.logs) > 1:
        ours = f"{_times(len(counted_repeats(sweep.repeats).counted), 'search', 'searches')} with {seeds} each"
    theirs = f"{part.aggregate or 'over'} of {part.runs}" if part.runs else "not stated how many"
    return f"Runs: {ours} here, {theirs} published."


def _examples_alone(part: Part) -> list[str]:
    """Say how far a figure of one run may be off by its test examples alone."""
    if not part.test or part.runs:
        return []
    shares = [float(each.value) / 100 for each in part.figures if each.metric in ("test_error", "test_accuracy")]
    errors = sorted(100 * math.sqrt(share * (1 - share) / part.test) for share in shares)
    if not errors:
        return []
    reach = f"{errors[0]:.2f}" if f"{errors[0]:.2f}" == f"{errors[-1]:.2f}" else f"{errors[0]:.2f} to {errors[-1]:.2f}"
    return [
        f"A published figure of one run has a standard error of {reach} points "
        f"from its {part.test:,} test examples alone."
    ]


def _times(count: int, word: str, plural: str = "") -> str:
    return f"{count} {word if count == 1 else plural or f'{word}s'}"


def _count(value: int | str | None) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
