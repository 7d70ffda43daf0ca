"""The API, version 1. A route takes apart what was asked, calls one thing, and says how it is answered."""

from __future__ import annotations

import threading
from functools import partial
from typing import Annotated, Any, Literal

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Path, Query, Response, Security
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from regtune.core.errors import nearest, shown
from regtune.core.records import Json, PhaseName, TrialKey
from regtune.core.version import __version__
from regtune.service import charts
from regtune.service.catalogue import Catalogue, Entry, Kind
from regtune.service.control import Control
from regtune.service.events import ID, Pieces, Position, events
from regtune.service.problems import Denied, Problem
from regtune.service.rows import Rows, page
from regtune.service.settings import Settings
from regtune.service.sweeps import Status, Summary, Sweeps
from regtune.service.trial import TrialOf, trial_of
from regtune.storage.layout import log_in
from regtune.sweep.schema import SweepFile

PREFIX = "/api/v1"
MOST_ROWS, MOST_SWEEPS, MOST_OUTPUT = 10_000, 500, 1_048_576
MOST_MAKING = 4  # frames, tables and figures that are made at once
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "no request of HTTP or JSON"},
    401: {"model": Problem, "description": "no token, or another one"},
    403: {"model": Problem, "description": "a foreign Host or Origin"},
    404: {"model": Problem, "description": "no such thing"},
    409: {"model": Problem, "description": "not possible as things are now"},
    413: {"model": Problem, "description": "too much"},
    422: {"model": Problem, "description": "not what was expected"},
    500: {"model": Problem, "description": "a fault of the service"},
    503: {"model": Problem, "description": "busy; try again"},
}
Name = Annotated[str, Path(max_length=100, description="name of a sweep")]
Repeat = Annotated[int, Query(ge=1, le=100, description="which repeat of a sweep with repeats")]
Offset = Annotated[int, Query(ge=0, le=10**12, description="rows to skip")]
Rows_ = Annotated[int, Query(ge=1, le=MOST_ROWS, description="rows at most")]
Arm = Annotated[str | None, Query(max_length=100)]
Phase = Annotated[Literal["search", "select", "confirm", "rivals"] | None, Query()]
Form = Annotated[Literal["md", "csv", "latex", "html", "json"], Query(alias="format")]
EVENT: dict[str, Any] = {"pattern": f"^({ID.pattern})?$"}  # described only: `Position` says better what is wrong
MEDIA = {
    "md": "text/markdown",
    "csv": "text/csv",
    "latex": "text/x-tex",
    "html": "text/html",
    "json": "application/json",
}


class Sent(BaseModel):
    """A sweep file that is sent."""

    model_config = ConfigDict(extra="forbid")

    toml: str = Field(max_length=65_536, description="the text of a sweep file")
    name: str | None = Field(default=None, max_length=100, description="what it is called if it says no `name`")
    full: bool = Field(
        default=True,
        description="whether data are loaded and a step of every arm is trained, which takes seconds; else the text "
        "alone is checked",
    )


class Checked(BaseModel):
    """What a check found."""

    name: str
    arms: list[str]
    notes: list[str] = Field(
        description="what `regtune check` says of the sweep; empty where the text alone was checked"
    )


class Submitted(Checked):
    """A sweep that was submitted."""

    submitted: bool = Field(description="false where it was running already")


class Page(BaseModel):
    """Sweeps, those whose logs changed last in front."""

    total: int
    offset: int
    sweeps: list[Summary]


class FigureOf(BaseModel):
    """A figure of the report."""

    name: str
    title: str
    caption: str
    why: str = Field(description="why there is none; empty where it can be drawn")


class About(BaseModel):
    """What this service is."""

    version: str
    plugins: list[str] = Field(description="the plugins that sweep files may name")
    charts: str = Field(description="path of the script with which the page draws figures: Vega, Vega-Lite, vega-embed")


def router(
    settings: Settings, sweeps: Sweeps, control: Control, catalogue: Catalogue, ending: threading.Event
) -> APIRouter:
    """Return the routes; streams end when the service is `ending`."""
    # Checked by the guard, before all routes; here it is described, where there is a token.
    needs = [Security(HTTPBearer(auto_error=False))] if settings.token is not None else []
    api = APIRouter(prefix=PREFIX, responses=REFUSALS, dependencies=needs)
    plugins = [*settings.plugins]

    @api.get("/about", tags=["service"])
    def about() -> About:
        """Return the version, and which plugins sweep files may name."""
        return About(version=__version__, plugins=plugins, charts=charts.address())

    @api.get("/catalogue", tags=["catalogue"])
    def all_entries() -> dict[Kind, list[Entry]]:
        """Return all methods, data sets, networks, optimizers, samplers and pruners with their knobs."""
        return catalogue.all()

    @api.get("/catalogue/{kind}/{name}", tags=["catalogue"])
    def one_entry(kind: Kind, name: str) -> Entry:
        """Return one of them."""
        return catalogue.one(kind, name)

    @api.get("/schema", tags=["catalogue"])
    def schema() -> Json:
        """Return the JSON Schema of a sweep file; its open tables are those of the catalogue."""
        return SweepFile.model_json_schema()

    @api.post("/check", tags=["submit"])
    def check(sent: Sent) -> Checked:
        """Check a sweep file as `regtune check` does; what is wrong is said with its path in the file."""
        sweep, notes = control.check(sent.toml, sent.name, full=sent.full)
        return Checked(name=sweep.name, arms=[*sweep.arms], notes=notes)

    @api.get("/sweeps", tags=["sweeps"])
    def listed(
        offset: Offset = 0, limit: Annotated[int, Query(ge=1, le=MOST_SWEEPS, description="sweeps at most")] = 50
    ) -> Page:
        """List sweeps."""
        names = sweeps.names()
        return Page(total=len(names), offset=offset, sweeps=sweeps.summaries(names[offset : offset + limit]))

    @api.post("/sweeps", tags=["submit"], status_code=202)
    def submit(sent: Sent) -> Submitted:
        """Check a sweep and start it; one that ran before goes on from its log."""
        sweep, notes, new = control.submit(sent.toml, sent.name, full=sent.full)
        return Submitted(name=sweep.name, arms=[*sweep.arms], notes=notes, submitted=new)

    @api.get("/sweeps/{name}", tags=["sweeps"])
    def status(name: Name, repeat: Annotated[int | None, Query(ge=1, le=100)] = None) -> Status:
        """Return how a sweep stands."""
        return sweeps.status(name, repeat)

    @api.post("/sweeps/{name}/stop", tags=["submit"], status_code=202)
    def stop(name: Name) -> Status:
        """Ask a sweep to stop; finished work is kept."""
        control.stop(name)
        return sweeps.status(name)

    @api.post("/sweeps/{name}/resume", tags=["submit"], status_code=202)
    def resume(name: Name) -> Status:
        """Have a sweep go on from its log."""
        control.resume(name)
        return sweeps.status(name)

    @api.get("/sweeps/{name}/file", tags=["sweeps"], response_class=Response, responses=_of("application/toml"))
    def file(name: Name) -> Response:
        """Return the sweep file that was submitted."""
        return PlainTextResponse(control.file(name), media_type="application/toml")

    @api.get("/sweeps/{name}/output", tags=["sweeps"], response_class=Response, responses=_of("text/plain"))
    def output(
        name: Name, most: Annotated[int, Query(ge=1, le=MOST_OUTPUT, description="bytes at most")] = 65_536
    ) -> Response:
        """Return the end of what the runs of a sweep have printed."""
        return PlainTextResponse(control.output(name, most))

    _reading(api, sweeps, settings, ending)
    return api


def _of(*media: str) -> dict[int | str, dict[str, Any]]:
    """Return the description of an answer in one of these types."""
    return {200: {"description": "what was asked for", "content": {each: {} for each in media}}}


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _reading(api: APIRouter, sweeps: Sweeps, settings: Settings, ending: threading.Event) -> None:
    """Add the routes that read the log of a sweep.

    What makes frames, tables or figures has threads of its own, a few: others wait for these, and nothing else does.
    """
    few = anyio.CapacityLimiter(MOST_MAKING)
    pieces = Pieces()
    _rows(api, sweeps, settings, few)

    @api.get("/sweeps/{name}/table", tags=["results"], response_class=Response, responses=_of(*MEDIA.values()))
    async def table(name: Name, form: Form = "md") -> Response:
        """Return all tables of a sweep in a format of `regtune table`."""
        text = await run_sync(sweeps.table, name, form, limiter=few)
        return Response(text, media_type=f"{MEDIA[form]}; charset=utf-8")

    @api.get("/sweeps/{name}/figures", tags=["results"])
    async def figures(name: Name, repeat: Repeat = 1) -> list[FigureOf]:
        """List the figures of the report of a sweep."""
        drawn = await run_sync(sweeps.figures, name, repeat, limiter=few)
        return [FigureOf(name=each.name, title=each.title, caption=each.caption, why=each.why) for each in drawn]

    @api.get(
        "/sweeps/{name}/figures/{figure}",
        tags=["results"],
        response_class=Response,
        responses=_of("application/json", "image/svg+xml"),
    )
    async def figure(
        name: Name,
        figure: str,
        repeat: Repeat = 1,
        form: Annotated[Literal["json", "svg"], Query(alias="format", description="json: Vega-Lite")] = "json",
        theme: Literal["light", "dark"] = "light",
    ) -> Response:
        """Return one figure."""
        found = {each.name: each for each in await run_sync(sweeps.figures, name, repeat, limiter=few)}
        if figure not in found:
            raise Denied(404, f"figure: unknown figure {shown(figure)}{nearest(figure, found)}")
        spec = found[figure].spec
        if spec is None:
            raise Denied(404, f"figure: expected one that can be drawn, given {figure}: {found[figure].why}")
        if form == "svg":
            draw = partial(sweeps.drawing, name, repeat, found[figure], dark=theme == "dark")
            drawing = await run_sync(draw, limiter=few)
            return Response(drawing, media_type="image/svg+xml")
        return _json(await run_sync(sweeps.specification, name, repeat, found[figure], limiter=few))

    @api.get("/sweeps/{name}/events", tags=["results"], response_class=Response, responses=_of("text/event-stream"))
    def follow(
        name: Name,
        repeat: Repeat = 1,
        after: Annotated[
            str | None, Query(max_length=40, description="as Last-Event-ID", json_schema_extra=EVENT)
        ] = None,
        last_event_id: Annotated[str, Header(max_length=40, json_schema_extra=EVENT)] = "",
    ) -> StreamingResponse:
        """Stream the rows of the log as server-sent events, behind an event or all of them, and those to come."""
        folder = sweeps.repeat(name, repeat)
        sweeps.check_size(folder)
        position = Position(pieces, log_in(folder), last_event_id or after)
        return StreamingResponse(events(position, ending), media_type="text/event-stream")


def _rows(api: APIRouter, sweeps: Sweeps, settings: Settings, few: anyio.CapacityLimiter) -> None:
    """Add the routes of trials and epochs."""

    @api.get("/sweeps/{name}/trials", tags=["results"], response_model=Rows)
    async def trials(
        name: Name,
        repeat: Repeat = 1,
        arm: Arm = None,
        phase: Phase = None,
        status: Annotated[str | None, Query(max_length=20)] = None,
        offset: Offset = 0,
        limit: Rows_ = 100,
    ) -> Response:
        """Return rows of trials, as `Results.trials` has them."""
        filters = {"arm": arm, "phase": phase, "status": status}

        def made() -> bytes:
            return page(sweeps.results(name, repeat).trials, filters, offset, limit)

        return _json(await run_sync(made, limiter=few))

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
        limit: Rows_ = 1000,
    ) -> Response:
        """Return rows of epochs, as `Results.epochs` has them."""
        filters = {"arm": arm, "phase": phase, "number": number}

        def made() -> bytes:
            return page(sweeps.results(name, repeat).epochs, filters, offset, limit)

        return _json(await run_sync(made, limiter=few))
