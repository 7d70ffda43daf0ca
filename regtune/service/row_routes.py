"""The routes of trials and epochs: pages of frames, and one trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import anyio
import pandas as pd
from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Response

from regtune.core.records import PhaseName, TrialKey
from regtune.results.loader import Results
from regtune.service.parameters import Name, Offset, Repeat
from regtune.service.rows import Rows, page
from regtune.service.settings import Settings
from regtune.service.sweeps import Sweeps
from regtune.service.trial import TrialOf, trial_of

MOST_ROWS = 10_000
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="rows at most")]
Arm = Annotated[str | None, Query(max_length=100)]
Phase = Annotated[PhaseName | None, Query()]


def add_rows(api: APIRouter, sweeps: Sweeps, settings: Settings, few: anyio.CapacityLimiter) -> None:
    """Add the routes of trials and epochs; `few` is how many frames are made at once."""

    async def paged(
        frame: Callable[[Results], pd.DataFrame],
        name: str,
        repeat: int,
        filters: Mapping[str, str | int | None],
        offset: int,
        limit: int,
    ) -> Response:
        def made() -> bytes:
            return page(frame(sweeps.results(name, repeat)), filters, offset, limit)

        return Response(await run_sync(made, limiter=few), media_type="application/json")

    @api.get("/sweeps/{name}/trials", tags=["results"], response_model=Rows)
    async def trials(
        name: Name,
        repeat: Repeat = 1,
        arm: Arm = None,
        phase: Phase = None,
        status: Annotated[str | None, Query(max_length=20)] = None,
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> Response:
        """Return rows of trials, as `Results.trials` has them."""
        filters = {"arm": arm, "phase": phase, "status": status}
        return await paged(lambda results: results.trials, name, repeat, filters, offset, limit)

    @api.get("/sweeps/{name}/trials/{arm}/{phase}/{number}", tags=["results"])
    async def trial(
        name: Name,
        arm: Annotated[str, Path(max_length=100)],
        phase: PhaseName,
        number: Annotated[int, Path(ge=0, le=10**12)],
        repeat: Repeat = 1,
    ) -> TrialOf:
        """Return the configuration of a trial, and the command that trains it again."""

        def made() -> TrialOf:
            return trial_of(sweeps.results(name, repeat), TrialKey(arm, phase, number), settings.data)

        return await run_sync(made, limiter=few)

    @api.get("/sweeps/{name}/epochs", tags=["results"], response_model=Rows)
    async def epochs(
        name: Name,
        repeat: Repeat = 1,
        arm: Arm = None,
        phase: Phase = None,
        number: Annotated[int | None, Query(ge=0, le=10**12, description="of the trial in its arm and phase")] = None,
        offset: Offset = 0,
        limit: Limit = 1000,
    ) -> Response:
        """Return rows of epochs, as `Results.epochs` has them."""
        filters = {"arm": arm, "phase": phase, "number": number}
        return await paged(lambda results: results.epochs, name, repeat, filters, offset, limit)
