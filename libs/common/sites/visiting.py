"""One visit to one page: allowed by robots, at a polite pace, hop by hop, and told by what it proves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urljoin, urlsplit

import msgspec

from libs.common.errors import ProviderContractBroken, ProviderUnavailable, RateLimited
from libs.common.http.retry_after import wait_asked
from libs.common.provider.client import HttpAnswer, ProviderHttp
from libs.common.sites.addresses import origin_of_url, without_fragment
from libs.common.sites.pacing import Pace
from libs.common.sites.robots import Robots

USER_AGENT = "sluice/0.1 (documentation reader; obeys robots.txt)"
HEADERS = {"user-agent": USER_AGENT, "accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1"}
LARGEST_PAGE = 5 * 1024 * 1024
MOST_HOPS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LASTING = frozenset({301, 308})
UNSAID_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)

Outcome = Literal[
    "found",
    "unchanged",
    "absent",
    "gone",
    "refused",
    "failed",
    "unreadable",
    "forbidden_by_robots",
    "elsewhere",
    "circle",
]


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """`found` 200 · `unchanged` 304 · `absent` 404 · `gone` 410 · `refused` 401, 403 and the like · `failed` 5xx or no
    answer · `unreadable` too large or broken · `elsewhere` redirects to another origin · `circle` redirects for ever.

    `url` is where the answer came from; `moved` says how it was reached from `asked`.
    """

    asked: str
    url: str
    outcome: Outcome
    moved: Literal["", "lasting", "passing"] = ""
    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = {}
    detail: str = ""


class Visitor:
    def __init__(self, http: ProviderHttp, pace: Pace) -> None:
        self.sitemaps: tuple[str, ...] = ()
        self._http = http
        self._pace = pace
        self._robots = Robots("")

    def obey(self, robots: Robots) -> None:
        self._robots = robots
        self._pace.seconds = max(self._pace.seconds, robots.delay)
        self.sitemaps = robots.sitemaps

    async def visit(self, url: str, *, conditional: str = "", largest: int = LARGEST_PAGE) -> Visit:
        """Never raises for what the site answered, but RetryAfter: it is about the whole site."""
        at, moved, seen = url, "", {url}
        for _ in range(MOST_HOPS + 1):
            if not self._robots.allows(at):
                return Visit(asked=url, url=at, outcome="forbidden_by_robots", detail="robots.txt does not allow it")
            try:
                answer = await self.get(at, conditional=conditional, largest=largest)
            except ProviderUnavailable as error:
                return Visit(asked=url, url=at, outcome="failed", detail=error.detail)
            except ProviderContractBroken as error:
                return Visit(asked=url, url=at, outcome="unreadable", detail=error.detail)
            target = _target(answer, at)
            if target is None:
                return _told(url, at, moved, answer)
            if origin_of_url(target) != origin_of_url(at):
                where = f"it leads to {origin_of_url(target) or 'something that is no address'}"
                return Visit(asked=url, url=target, outcome="elsewhere", status=answer.status, detail=where)
            moved = "lasting" if answer.status in LASTING and moved != "passing" else "passing"
            if target in seen:
                break
            seen.add(target)
            at = target
        return Visit(asked=url, url=at, outcome="circle", detail="its redirects lead nowhere")

    def disbelieve(self, visit: Visit, *, conditional: str) -> None:
        """What was found is not the page: that it is unmodified would say nothing."""
        self._http.disbelieve(visit.url, conditional=conditional)

    async def get(self, url: str, *, conditional: str = "", largest: int = LARGEST_PAGE) -> HttpAnswer:
        """One request. Raises RateLimited for 429, and for 503 that says when to come back."""
        await self._pace.wait()
        answer = await self._http.request(
            "GET",
            url,
            headers=HEADERS,
            conditional=conditional,
            authorized=False,
            follow=False,
            largest_body=largest,
        )
        if answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers):
            until = datetime.now(UTC) + wait_asked(answer.headers, otherwise=UNSAID_WAIT, longest=LONGEST_WAIT)
            self._http.note_limit(until)
            raise RateLimited("the site asked to wait", until=until)
        return answer


def _told(asked: str, at: str, moved: str, answer: HttpAnswer) -> Visit:
    outcome: Outcome = "refused"
    if answer.status < 300:
        outcome = "found" if _is_html(answer) else "unreadable"
    elif answer.not_modified:
        outcome = "unchanged"
    elif answer.status == 404:
        outcome = "absent"
    elif answer.status == 410:
        outcome = "gone"
    elif answer.status >= 500:
        outcome = "failed"
    detail = f"the site answered {answer.status}" if outcome != "unreadable" else "it is no HTML page"
    how: Literal["", "lasting", "passing"] = "lasting" if moved == "lasting" else "passing" if moved else ""
    return Visit(
        asked=asked, url=at, outcome=outcome, moved=how, status=answer.status, body=answer.body,
        headers=answer.headers, detail=detail,
    )  # fmt: skip


def _is_html(answer: HttpAnswer) -> bool:
    kind = answer.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml", "")


def _target(answer: HttpAnswer, at: str) -> str | None:
    location = answer.headers.get("location", "")
    if answer.status not in REDIRECTS or not location:
        return None
    try:
        target = without_fragment(urljoin(at, location))
        return target if urlsplit(target).scheme in ("http", "https") else "about:nowhere"
    except ValueError:
        return "about:nowhere"
