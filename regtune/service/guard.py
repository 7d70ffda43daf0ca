"""What stands before every request: who may ask, from where, and how much.

A page of another site that a user has open could send requests to a service on loopback, and by a name of its own that
it has resolve to 127.0.0.1 even read the answers. So a Host that is not the service's own is refused, and an Origin
that is another one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from regtune.service.settings import MOST_BODY, Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

API = "/api/"  # what needs a token; the page itself has no data
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Guard:
    """Refuses what may not pass; everything that passes gets the security headers."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app, self._hosts = app, settings.hosts
        self._token = _digest(settings.token) if settings.token is not None else None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no websockets: without an answer the server closes one
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope["path"], headers)
        if refused is not None:
            await _answer(*refused, send)
            return
        begun, cut, taken = False, False, 0

        async def counted() -> Message:
            nonlocal cut, taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken <= MOST_BODY:
                return message
            if not begun:
                cut = True
                await _answer(413, _LARGE, send)
            return {"type": "http.disconnect"}

        async def headed(message: Message) -> None:
            nonlocal begun
            if cut:  # it was answered
                return
            if message["type"] == "http.response.start":
                begun = True
                own = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _RAW if pair[0] not in own)]
            await send(message)

        await self._app(scope, counted, headed)

    def _refused(self, path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Return the status and the reason for which a request may not pass, None where it may."""
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return 403, "Host: expected a name of this service; regtune serve --name adds one"
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            return 403, "Origin: expected a page of this service, given one of another site"
        if headers.get("sec-fetch-site") == "cross-site" and path.startswith(API):
            return 403, "Sec-Fetch-Site: expected a request of this service's own page, given one of another site"
        if self._token is not None and path.startswith(API) and not self._knows(headers.get("authorization", "")):
            return 401, "Authorization: expected Bearer and the token of this service"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:20]) > MOST_BODY:
            return 413, _LARGE
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        given = _digest(token.strip())
        # Digests are of one length, and compared in the same time wherever they differ.
        return hmac.compare_digest(given, self._token or b"") and scheme.lower() == "bearer"


_LARGE = f"expected a request of at most {MOST_BODY} bytes, given more"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _place(origin: str) -> str:
    """Return host and port in an Origin header; empty where it is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Return the name in a Host header, without its port; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


async def _answer(status: int, text: str, send: Send) -> None:
    body = json.dumps({"error": {"message": text, "path": None}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *_RAW]
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    headers += [(b"connection", b"close")] if status == 413 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
