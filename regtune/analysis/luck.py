"""What the verdicts of one search do not show: how far its choice, and so each difference, is luck."""

from __future__ import annotations

from regtune.results.loader import Results


def beyond(results: Results, metric: str, *, corrected: bool = True) -> dict[str, float] | None:
    """Return by arm the variance over searches of its mean difference to the first, by a column of `Results.trials`.

    None where verdicts are about the configuration that was found; else see `searches.Searches.beyond`. A race has that
    of accuracy as it is, not `corrected`.
    """
    if results.searches is None:
        return None
    columns = results.trials[["arm", "phase", "number", "status", metric]]
    mine = columns[columns["phase"].isin(["confirm", "rivals"])]
    rows = [{str(name): value for name, value in row.items()} for row in mine.to_dict("records")]
    return results.searches.beyond(rows, metric, list(results.sweep["arms"]), corrected=corrected)
