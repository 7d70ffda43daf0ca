"""The page of a service for a test, in a Chromium: what it complains of fails the test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from regtune.service.runs import Runs
from regtune.service.settings import Settings
from tests.served import API, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE = 390  # pixels
SECONDS = 60  # for what is waited for: it comes within a second or two, but this machine may have other things to do
WIDTHS = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A page of a service at `base`, and a client that asks the service itself."""

    page: Page
    client: httpx.Client
    base: str

    def go(self, view: str) -> None:
        """Go to a view of the page, as `#/new`."""
        self.page.goto(f"{self.base}/{view}")

    def fits(self) -> bool:
        """Return whether nothing of the page is beside the screen."""
        needed, room = self.page.evaluate(WIDTHS)
        return bool(needed == room)


@contextlib.contextmanager
def paged(
    browser: Browser,
    given: Settings,
    view: str = "",
    *,
    runs: Runs | None = None,
    dark: bool = False,
    width: int = PHONE,
    foreign: bool = False,
    script: str = "",
    forgiven: Sequence[str] = (),
) -> Iterator[Shown]:
    """Serve, and open a view of the page, for the time of a block.

    At its end nothing may have been complained of in the browser, and nothing asked of another address; complaints
    with one of the words `forgiven` in them may be. With `foreign` the page runs scripts of others, which the service
    forbids; a `script` runs before those of the page.
    """
    wrong: list[str] = []
    with served(given, runs) as client:
        base = str(client.base_url).removesuffix("/").removesuffix(API)
        page = browser.new_page(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", bypass_csp=foreign
        )
        page.set_default_timeout(1000 * SECONDS)
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith((base, "blob:")) else wrong.append(asked.url))
        if script:
            page.add_init_script(script)
        page.goto(f"{base}/{view}")
        try:
            yield Shown(page=page, client=client, base=base)
        finally:
            page.close()
    assert [text for text in wrong if not any(word in text for word in forgiven)] == []
