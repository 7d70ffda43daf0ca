"""The service as one ASGI application."""

from __future__ import annotations

import threading
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from regtune.core.errors import Refused, shown
from regtune.core.version import __version__
from regtune.core.writing import in_one_line
from regtune.service import charts
from regtune.service.catalogue import Catalogue
from regtune.service.checking import Checker
from regtune.service.control import Control
from regtune.service.guard import Guard
from regtune.service.problems import problem, status_of
from regtune.service.ray_jobs import RayJobs
from regtune.service.routes import PREFIX, router
from regtune.service.runs import Processes, Runs
from regtune.service.settings import Settings
from regtune.service.sweeps import Sweeps
from regtune.service.worker import Ask

STATIC = Path(__file__).parent / "static"
SECONDS_TO_RETRY = 5  # who is refused since there is too much at once


def service(settings: Settings, ask: Ask, ending: threading.Event, runs: Runs | None = None) -> Guard:
    """Return the service, which asks `ask` what takes torch; streams end when `ending` is set.

    Sweeps run as the settings say, unless `runs` does.
    """
    return Guard(api(settings, runs or _runs(settings), ask, ending), settings)


def _runs(settings: Settings) -> Runs:
    return Processes(settings) if settings.address is None else RayJobs(settings, settings.address)


def api(settings: Settings, runs: Runs, ask: Ask, ending: threading.Event) -> FastAPI:
    """Return the application behind the guard."""
    app = FastAPI(
        title="regtune",
        version=__version__,
        description="Launch, watch and read sweeps.",
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    sweeps = Sweeps(settings, runs)
    control = Control(sweeps, runs, Checker(settings, ask))
    app.include_router(router(settings, sweeps, control, Catalogue(ask), ending))
    _page(app)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(OSError, _of_system)
    app.add_exception_handler(Exception, _fault)
    return app


def _page(app: FastAPI) -> None:
    """Add the files of the page; they hold no data, and ask for them with the token that a user gives."""
    script = charts.Script()

    @app.get(f"/{charts.address()}", include_in_schema=False)
    def drawing() -> Response:
        """Return what draws charts; its address changes with it, so a browser may keep it."""
        return Response(script.text(), media_type="text/javascript", headers={"cache-control": charts.KEPT})

    app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")


def _answer(status: int, error: Refused) -> JSONResponse:
    answer = JSONResponse(problem(error).model_dump(), status_code=status)
    if status == 503:
        answer.headers["Retry-After"] = str(SECONDS_TO_RETRY)
    return answer


async def _refused(request: Request, error: Exception) -> JSONResponse:
    refused = error if isinstance(error, Refused) else Refused(str(error))
    return _answer(status_of(refused), refused)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Say the first thing that is wrong with a request itself, in the words of pydantic."""
    found = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    place = ".".join(map(str, found.get("loc", ("request",))))
    return _answer(422, Refused(f"{place}: {found.get('msg', error)}, given {shown(found.get('input'))}"))


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    said = error.detail if isinstance(error, HTTPException) else error
    answer = _answer(status, Refused(f"{request.method} {shown(request.url.path)}: {said}"))
    answer.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
    return answer


async def _of_system(request: Request, error: Exception) -> JSONResponse:
    """Say what the system refused, as a full disk."""
    return _answer(503, Refused(in_one_line(error) if isinstance(error, OSError) else str(error)))


async def _fault(request: Request, error: Exception) -> JSONResponse:
    """Say that this is a fault of the service; its traceback goes to the service's own output."""
    return _answer(500, Refused(f"{type(error).__name__}: a fault of the service; its output has the traceback"))
