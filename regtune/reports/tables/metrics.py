"""The table of all other metrics and its words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from regtune.analysis.columns import metric_of
from regtune.analysis.families import measured_metrics, other_metrics
from regtune.analysis.metrics import other_columns
from regtune.core.metric import ACCURACY, ECE, NLL, Metric
from regtune.reports.tables.families import OVER_SEEDS, families_caption, families_unsaid, family_cells, without_number
from regtune.reports.text import mean_and_sd, number
from regtune.results.loader import Results

# Of each of `replay.TABLE_METRICS`: head of the column, factor, format.
SHOWN = {
    ACCURACY.test: (ACCURACY.head("test"), 100, ".2f"),
    "test_accuracy_last": ("last epoch %", 100, ".2f"),
    "test_loss": ("test NLL", 1, ".3f"),
    "test_ece": ("test ECE %", 100, ".1f"),
    "train_accuracy": ("train accuracy %", 100, ".2f"),
    "gap": ("gap", 100, ".2f"),
    "weight_norm": ("weight norm", 1, ".2f"),
    "zero_share": ("zeros %", 100, ".1f"),
    "distance": ("distance", 1, ".2f"),
    "train_nc1": ("train NC1", 1, ".3f"),
    "val_nc1": ("validation NC1", 1, ".3f"),
    "train_cdnv": ("train CDNV", 1, ".3f"),
    "val_cdnv": ("validation CDNV", 1, ".3f"),
}
UNITS = {
    ACCURACY: "accuracy",
    NLL: "negative log-likelihood (NLL) in nats",
    ECE: "expected calibration error (ECE, 15 bins)",
}
TIGHTNESS = (
    "NC1 and CDNV: how tightly the classes cluster in the last hidden layer, 0 if each is a point (see "
    "regtune/training/neural_collapse.py)."
)


def metrics_caption(results: Results, frame: pd.DataFrame) -> str:
    """Say what may be concluded and what the columns are; the frame is that of `metrics`, or has its columns."""
    confirm, search = results.sweep.confirm, results.sweep.search
    data = results.sweep.template["data"]
    again = confirm.retrain != "none"
    where = "at the end of the second training, in which train includes the validation examples" if again else ""
    judged = f"after {search.stop_after} epochs" if search.stop_after else ""
    splits = "each on its own split" if confirm.splits == "fresh" else "on the same split"
    gain = "the effect of more epochs" if judged else "what choosing the best of many adds"
    found = measured_metrics([results])
    chosen, own, search_metric = "selected" in frame, results.sweep.confirm.metric, results.sweep.search.metric
    words, unit = search_metric.words, search_metric.unit
    minus = "minus" if search_metric.better == "higher" else "subtracted from"
    over = ", with the variance over searches added, as above" if results.sweep.confirm.over_searches else ""
    sentences = [
        _conclusion(results, found),
        f"Means ± standard deviations over the confirmed seeds, {where or 'at the kept epoch'}, on pictures without "
        f"augmentation, with hard labels. On test: {' and '.join(UNITS[other] for other in other_metrics(own))}. "
        f"Gap: train minus test accuracy in points. Weight norm, zeros (share of weights that are exactly 0), distance "
        f"(of the weights from where training began).",
        "Train accuracy and gap are on the training labels, resampled ones included."
        if data.get("label_noise")
        else "",
        families_caption(results, found, OVER_SEEDS + over),
        "" if frame["train_nc1"].isna().all() else TIGHTNESS,
        f"Searched: the {'best ' if chosen else ''}validation {words} in search{f' {judged}' if judged else ''}, by "
        f"which the configuration {'would have been' if chosen else 'was'} chosen{' without select' if chosen else ''}."
        f" Optimism: searched {minus} the mean validation {words} of the confirmed seeds ({splits}), in {unit}. It "
        f"{'includes' if judged else 'shows'} {gain}.",
        ""
        if not chosen
        else f"Selected: the mean validation {words} in select, by which the configuration was chosen. Optimism left: "
        f"selected {minus} the same mean of the confirmed seeds.",
    ]
    return " ".join(filter(None, sentences))


def _conclusion(results: Results, found: Sequence[Metric]) -> str:
    baseline, *others = results.sweep.arms
    rest = "Fit, weights and optimism are described only; nothing is decided by them."
    if not found or not others:
        return f"What else was measured of the configurations that this one search found. {rest}"
    heads = " and ".join(metric.long[0].lower() + metric.long[1:] for metric in found)
    over = results.sweep.confirm.over_searches
    which = (
        "; intervals include the variance between searches"
        if over
        else ", for the configurations that this one search found"
    )
    return f"Which arms beat {baseline} in {heads} on fresh seeds{which}. {rest}"


def metrics_sentences(results: Results, frame: pd.DataFrame) -> list[str]:
    """Say what the differences leave out and what they cannot tell; the frame is that of `metrics`."""
    found = measured_metrics([results])
    return [*without_number(results, found), *families_unsaid(frame, found)]


def metrics_as_text(frame: pd.DataFrame, search: Metric = ACCURACY) -> pd.DataFrame:
    """Return the rows of `metrics` as a reader wants them, without columns in which nothing stands.

    `search` is the metric that configurations were chosen by.
    """
    own = metric_of(frame)
    columns = {"arm": frame["arm"].to_list()}
    for name in other_columns(own):
        head, factor, form = SHOWN[name]
        means, sds = frame[name] * factor, frame[f"{name}_sd"] * factor
        if not means.isna().all():
            columns[head] = [mean_and_sd(mean, sd, form) for mean, sd in zip(means, sds, strict=True)]
            columns |= {
                f"{of.short} difference": family_cells(frame, of, "seeds")
                for of in other_metrics(own)
                if of.test == name
            }
    columns["kept epoch"] = [number(value, ".1f") for value in frame["kept_epoch"]]
    if not frame["retrain_epochs"].isna().all():
        columns["epochs again"] = [number(value, ".1f") for value in frame["retrain_epochs"]]
    if frame["targets_missed"].any():
        columns["targets missed"] = [str(count) for count in frame["targets_missed"]]
    unit = search.percent or f" {search.unit}"
    columns[f"searched{unit}"] = [number(search.factor * value, search.form) for value in frame["searched"]]
    columns["optimism"] = [number(search.factor * value, f"+{search.form}") for value in frame["optimism_validation"]]
    if "selected" in frame:
        columns[f"selected{unit}"] = [number(search.factor * value, search.form) for value in frame["selected"]]
        left = frame["optimism_selected"]
        columns["optimism left"] = [number(search.factor * value, f"+{search.form}") for value in left]
    return pd.DataFrame(columns)
