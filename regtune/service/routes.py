"""The API, version 1. A route takes apart what was asked, calls one thing, and says how it is answered.

Those of trials and epochs are in `row_routes`.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Annotated, Any, Literal

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Response, Security
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from regtune.core.errors import nearest, shown
from regtune.core.records import Json
from regtune.core.version import __version__
from regtune.service import charts
from regtune.service.catalogue import Catalogue, Entry, Kind
from regtune.service.control import Control
from regtune.service.events import ID, Pieces, Position, events, statuses
from regtune.service.looks import Looks
from regtune.service.parameters import Name, NewestRepeat, Offset, Repeat
from regtune.service.problems import Denied, Problem
from regtune.service.row_routes import add_rows
from regtune.service.settings import Settings
from regtune.service.streams import Counted, Streams
from regtune.service.sweeps import Status, Summary, Sweeps
from regtune.storage.layout import log_in
from regtune.sweep.schema import SweepFile

PREFIX = "/api/v1"
MOST_SWEEPS, MOST_OUTPUT = 500, 1_048_576
MOST_MAKING = 4  # frames, tables and figures that are made at once
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "no request of HTTP or JSON"},
    401: {"model": Problem, "description": "no token, or another one"},
    403: {"model": Problem, "description": "a foreign Host or Origin"},
    404: {"model": Problem, "description": "no such thing"},
    409: {"model": Problem, "description": "not possible as things are now, or of a damaged log"},
    413: {"model": Problem, "description": "too much"},
    422: {"model": Problem, "description": "not what was expected"},
    500: {"model": Problem, "description": "a fault of the service"},
    503: {"model": Problem, "description": "busy; try again"},
}
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
    def status(name: Name, repeat: NewestRepeat = None) -> Status:
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
    pieces, looks, streams = Pieces(), Looks(), Streams(settings.most_streams)
    add_rows(api, sweeps, settings, few)

    @api.get("/sweeps/{name}/table", tags=["results"], response_class=Response, responses=_of(*MEDIA.values()))
    async def table(name: Name, form: Form = "md") -> Response:
        """Return all tables of a sweep in a format of `regtune table`; Retry-After says when they may have changed."""
        text, seconds = await run_sync(sweeps.table, name, form, limiter=few)
        return Response(text, media_type=f"{MEDIA[form]}; charset=utf-8", headers={"Retry-After": str(seconds)})

    @api.get("/sweeps/{name}/figures", tags=["results"])
    async def figures(name: Name, response: Response, repeat: Repeat = 1) -> list[FigureOf]:
        """List the figures of the report of a sweep; Retry-After says when they may have changed."""
        drawn, seconds = await run_sync(sweeps.figures, name, repeat, limiter=few)
        response.headers["Retry-After"] = str(seconds)
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
        drawn, _ = await run_sync(sweeps.figures, name, repeat, limiter=few)
        found = {each.name: each for each in drawn}
        if figure not in found:
            raise Denied(404, f"figure: unknown figure {shown(figure)}{nearest(figure, found)}")
        if found[figure].spec is None:
            raise Denied(404, f"figure: expected one that can be drawn, given {figure}: {found[figure].why}")
        if form == "svg":
            draw = partial(sweeps.drawing, name, repeat, found[figure], dark=theme == "dark")
            drawing = await run_sync(draw, limiter=few)
            return Response(drawing, media_type="image/svg+xml")
        return _json(await run_sync(sweeps.spec, name, repeat, found[figure], limiter=few))

    @api.get("/sweeps/{name}/events", tags=["results"], response_class=Response, responses=_of("text/event-stream"))
    def follow(
        name: Name,
        repeat: Repeat = 1,
        after: Annotated[
            str | None, Query(max_length=40, description="as Last-Event-ID", json_schema_extra=EVENT)
        ] = None,
        last_event_id: Annotated[str, Header(max_length=40, json_schema_extra=EVENT)] = "",
    ) -> Counted:
        """Stream the rows of the log as server-sent events, behind an event or all of them, and those to come."""
        folder = sweeps.repeat(name, repeat)
        sweeps.check_size(folder)
        position = Position(pieces, log_in(folder), last_event_id or after)
        return Counted(streams, events(position, looks, ending))

    @api.get("/sweeps/{name}/watch", tags=["sweeps"], response_class=Response, responses=_of("text/event-stream"))
    def watch(name: Name, repeat: NewestRepeat = None) -> Counted:
        """Stream how a sweep stands as server-sent events: now, and when it changes, once a second at most."""
        sweeps.status(name, repeat)  # refuses here what is not there

        def status() -> str:
            return sweeps.status(name, repeat).model_dump_json()

        return Counted(streams, statuses((name, repeat), status, looks, ending))
