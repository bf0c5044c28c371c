"""GitHub's REST manners: headers, paging by Link, and what each status asks the caller to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from libs.common.errors import (
    AuthExpired,
    LostSight,
    ProviderContractBroken,
    ProviderUnavailable,
    RateLimited,
    ResourceGone,
)
from libs.common.http.retry_after import http_date, wait_asked
from libs.common.provider.client import Budget, HttpAnswer, ProviderHttp

T = TypeVar("T")
HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28", "user-agent": "sluice"}
WRITE = {**HEADERS, "content-type": "application/json"}
SECONDARY = re.compile(rb"secondary rate", re.IGNORECASE)
NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
LAST = re.compile(r'<([^>]+)>;\s*rel="last"')
SECONDARY_WAIT = timedelta(seconds=60)  # docs: wait at least one minute when no header says more


async def get(
    http: ProviderHttp,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] = HEADERS,
    conditional: str = "",
) -> HttpAnswer:
    """A 200 or, when conditional, a 304. Every other answer is one of the errors of `check_status`."""
    answer = await http.request("GET", url, params=params, headers=headers, conditional=conditional)
    note_budget(http, answer)
    check_status(answer)
    return answer


async def get_unless_known(
    http: ProviderHttp, url: str, *, reader: str, known: bool, params: Mapping[str, str] | None = None
) -> HttpAnswer:
    """A 304 only where the caller still holds what the validator stood for; else the object itself."""
    answer = await get(http, url, params=params, conditional=reader)
    if answer.not_modified and not known:
        return await get(http, url, params=params)
    return answer


def check_status(answer: HttpAnswer) -> None:
    """Source: docs "Rate limits for the REST API" and "Troubleshooting the REST API".

    401 AuthExpired · limited 403/429 RateLimited · 404 ResourceGone or hidden · 410 ResourceGone ·
    other 403, 451 LostSight · 5xx ProviderUnavailable · the rest ProviderContractBroken.
    """
    if answer.status < 300 or answer.status == 304:
        return
    if answer.status == 401:
        raise AuthExpired("GitHub refused the token")
    if answer.status in {403, 429}:
        raise limited(answer) or LostSight("GitHub answered 403: the token lacks a permission")
    if answer.status in {404, 410}:
        raise ResourceGone(f"GitHub answered {answer.status}")
    if answer.status == 451:
        raise LostSight("GitHub answered 451: unavailable for legal reasons")
    if answer.status >= 500:
        raise ProviderUnavailable(f"GitHub answered {answer.status}")
    raise ProviderContractBroken(f"GitHub answered {answer.status}")


def check_hook(http: ProviderHttp, answer: HttpAnswer) -> None:
    """A hook route answers 404 as well when the token may not see hooks: that is no proof of anything gone."""
    note_budget(http, answer)
    try:
        check_status(answer)
    except ResourceGone:
        raise LostSight("GitHub shows no hooks of this repository: the token needs admin rights on it") from None


def limited(answer: HttpAnswer) -> RateLimited | None:
    """In the documented order: retry-after, then an empty budget's reset, then one minute for a secondary limit."""
    now = datetime.now(UTC)
    asked = wait_asked(answer.headers, otherwise=None)
    if asked is not None:
        return RateLimited("GitHub asked to wait", until=now + asked)
    if answer.headers.get("x-ratelimit-remaining") == "0":
        return RateLimited("GitHub's hourly budget is used up", until=_reset(answer) or now + SECONDARY_WAIT)
    if answer.status == 429 or SECONDARY.search(answer.body):
        return RateLimited("GitHub's secondary limit was met", until=now + SECONDARY_WAIT)
    return None


def note_budget(http: ProviderHttp, answer: HttpAnswer) -> None:
    """Of an answer that just came: what is left, and whether to call at all."""
    if answer.status in {403, 429} and (asked := limited(answer)):
        http.note_limit(asked.until)
    resets_at = _reset(answer)
    limit, remaining = (answer.headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining"))
    if resets_at and limit.isdigit() and remaining.isdigit():
        resource = answer.headers.get("x-ratelimit-resource", "core")
        http.note_budget(Budget(limit=int(limit), remaining=int(remaining), resets_at=resets_at, resource=resource))


def next_link(answer: HttpAnswer) -> str | None:
    """The provider's own next link, followed verbatim: page numbers fail on large sets (docs: best practices)."""
    found = NEXT.search(answer.headers.get("link", ""))
    return found.group(1) if found else None


def last_link(answer: HttpAnswer) -> str | None:
    """The end of the list as GitHub sees it now; lists by cursor name none, and neither does their last page."""
    found = LAST.search(answer.headers.get("link", ""))
    return found.group(1) if found else None


def pages_left(answer: HttpAnswer) -> int | None:
    """How many come after this one; None where a list is paged by cursor, which tells no end."""
    follow, last = next_link(answer), last_link(answer)
    if follow is None:
        return 0
    if last is None:
        return None
    numbers = [_page_number(link) for link in (follow, last)]
    return numbers[1] - numbers[0] + 1 if all(numbers) else None


def decode(answer: HttpAnswer, kind: type[T]) -> T:
    """Raises ProviderUnavailable for a body that is cut off, ProviderContractBroken for one of another shape."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.ValidationError as error:
        raise ProviderContractBroken(f"GitHub's answer does not fit {kind.__name__}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderUnavailable("GitHub's answer is not whole JSON") from error


def told_at(answer: HttpAnswer) -> datetime:
    """By the provider's own clock, where it says so."""
    return http_date(answer.headers.get("date", "")) or datetime.now(UTC)


def _page_number(link: str) -> int:
    """0 for a link that has none."""
    number = parse_qs(urlsplit(link).query).get("page", [""])[0]
    return int(number) if re.fullmatch("[0-9]{1,9}", number) else 0


def _reset(answer: HttpAnswer) -> datetime | None:
    """Epoch seconds; anything longer is no such moment, and a header must not end a sync."""
    seconds = answer.headers.get("x-ratelimit-reset", "")
    return datetime.fromtimestamp(int(seconds), UTC) if re.fullmatch("[0-9]{1,10}", seconds) else None
