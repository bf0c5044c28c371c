"""A person with a browser, scripted: cookies, redirects over real HTTP, and the buttons of a consent page."""

from __future__ import annotations

from types import TracebackType
from urllib.parse import urljoin

import httpx
from selectolax.lexbor import LexborHTMLParser

from libs.local.client import TIMEOUT, Told

MOST_REDIRECTS = 10


class Visitor:
    """One browser profile; `back` is a page that nobody serves here: the redirect to it ends the way."""

    def __init__(self, client: httpx.Client | None = None) -> None:
        self._client = client or httpx.Client(timeout=TIMEOUT)
        self.hops = 0

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def consent(self, url: str, *, decision: str = "authorize", back: str = "") -> httpx.Response:
        """Opens the address, presses the button and goes where that leads: the last page, or the redirect to `back`."""
        page = self._follow("GET", url, {}, back)
        form = LexborHTMLParser(page.text).css_first("form")
        if form is None:
            raise Told(f"{page.url.copy_with(query=None)} shows no consent page (HTTP {page.status_code}).")
        fields = {str(field.attributes["name"]): str(field.attributes["value"]) for field in form.css("input")}
        action = urljoin(str(page.url), str(form.attributes["action"]))
        return self._follow("POST", action, {**fields, "decision": decision}, back)

    def _follow(self, method: str, url: str, form: dict[str, str], back: str) -> httpx.Response:
        for _ in range(MOST_REDIRECTS):
            answer = self._ask(method, url, form)
            if not answer.has_redirect_location:
                return answer
            self.hops += 1
            url = urljoin(url, answer.headers["location"])
            if back and url.startswith(back):
                return answer
            method, form = "GET", {}
        raise Told(f"{url.partition('?')[0]} redirects in a circle.")

    def _ask(self, method: str, url: str, form: dict[str, str]) -> httpx.Response:
        try:
            return self._client.request(method, url, data=form or None)
        except httpx.HTTPError as error:
            raise Told(f"{url.partition('?')[0]} does not answer ({type(error).__name__}).") from error
