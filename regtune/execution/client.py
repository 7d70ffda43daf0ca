"""A client of `regtune serve`: submit sweeps, follow them and read their results from elsewhere."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from regtune.core.errors import Refused, shown
from regtune.core.file_names import as_text
from regtune.core.records import Json


class _Staying(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: it would send the token along."""

    def redirect_request(self, *args: Any) -> None:
        """Answer that there is none."""


class Client:
    """A service at an address, as `http://127.0.0.1:8266`. The token is by default that of REGTUNE_TOKEN.

    What the service refuses is `Refused`, in the service's words.
    """

    def __init__(self, address: str, token: str | None = None, *, seconds: float = 600.0) -> None:
        if urlsplit(address).scheme not in ("http", "https"):
            raise Refused(f"service: expected an address as http://127.0.0.1:8266, given {shown(address)}")
        self._base, self._seconds = f"{address.rstrip('/')}/api/v1", seconds
        token = token or os.environ.get("REGTUNE_TOKEN")
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Staying())

    def sweeps(self, *, offset: int = 0, limit: int = 50) -> list[Json]:
        """Return the sweeps whose logs changed last."""
        found: list[Json] = self._ask("/sweeps", {"offset": offset, "limit": limit})["sweeps"]
        return found

    def status(self, name: str) -> Json:
        """Return how a sweep stands."""
        return self._ask(_path(name))

    def check(self, file: str | Path, *, full: bool = True) -> Json:
        """Have a sweep file checked, with `full` its data and a step of every arm."""
        return self._ask("/check", body=_sent(file, full))

    def submit(self, file: str | Path, *, full: bool = True) -> Json:
        """Have a sweep file checked, and run."""
        return self._ask("/sweeps", body=_sent(file, full))

    def stop(self, name: str) -> Json:
        """Have a sweep stop."""
        return self._ask(_path(name, "/stop"), body={})

    def resume(self, name: str) -> Json:
        """Have a sweep go on from its log."""
        return self._ask(_path(name, "/resume"), body={})

    def table(self, name: str, form: str = "md") -> str:
        """Return the tables of a sweep as md, csv, latex, html or json."""
        with self._answer(_path(name, "/table"), {"format": form}) as answer:
            return answer.read().decode()

    def trials(self, name: str, **filters: str | int) -> Json:
        """Return rows of trials: `arm`, `phase`, `status`, `repeat`, `offset` and `limit` choose which."""
        return self._ask(_path(name, "/trials"), filters)

    def epochs(self, name: str, **filters: str | int) -> Json:
        """Return rows of epochs: `arm`, `phase`, `number`, `repeat`, `offset` and `limit` choose which."""
        return self._ask(_path(name, "/epochs"), filters)

    def events(self, name: str, after: str | None = None) -> Iterator[tuple[str, Json]]:
        """Yield the rows of the log behind an event, each with its id, and those that come."""
        with self._answer(_path(name, "/events"), {"after": after} if after else {}) as answer:
            event: dict[str, str] = {}
            for line in (raw.decode().rstrip("\n") for raw in answer):
                if line:
                    field, _, value = line.partition(": ")
                    event[field] = value
                elif event.get("event") == "problem":
                    raise Refused(json.loads(event["data"])["error"]["message"])
                elif "data" in event:
                    yield event["id"], json.loads(event["data"])
                    event = {}
        raise Refused(f"service {self._base}: expected events without end, but they ended; does it run?")

    def _ask(self, path: str, query: Mapping[str, str | int] | None = None, body: Json | None = None) -> Json:
        with self._answer(path, query, body) as answer:
            found: Json = json.load(answer)
        return found

    @contextlib.contextmanager
    def _answer(
        self, path: str, query: Mapping[str, str | int] | None = None, body: Json | None = None
    ) -> Iterator[IO[bytes]]:
        """Open the answer to a request, to be read in the block; raises Refused, also where it breaks off in there."""
        url = f"{self._base}{path}?{urlencode(query or {})}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, self._headers)  # noqa: S310 - http or https, see above
        awaited = "regtune serve there"
        try:
            with self._opener.open(request, timeout=self._seconds) as answer:
                awaited = "the rest of an answer"
                yield answer
        except urllib.error.HTTPError as error:
            raise Refused(f"service {self._base}: {_said(error)}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise Refused(f"service {self._base}: expected {awaited}, but {reason}; does it run?") from error


def _sent(file: str | Path, full: bool) -> Json:
    path = Path(file)
    return {"toml": path.read_text(encoding="utf-8"), "name": as_text(path.stem), "full": full}


def _path(name: str, rest: str = "") -> str:
    return f"/sweeps/{quote(name, safe='')}{rest}"


def _said(error: urllib.error.HTTPError) -> str:
    """Return what the service says of a refusal, or something else that listens there."""
    try:
        return str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}; is it regtune serve?"
