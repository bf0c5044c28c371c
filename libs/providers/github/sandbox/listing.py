"""Lists the way GitHub gives them: pages of prepared JSON, Link headers, `since`, and cursors for large ones."""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from libs.providers.github.sandbox.call import Call, Refused
from libs.providers.github.sandbox.shapes import API
from libs.sandbox.contract import Answer

T = TypeVar("T")
Key = tuple[int, int]
MOST_PER_PAGE = 100
TOO_DEEP = (
    "Pagination with the page parameter is not supported for large datasets, "
    "please use cursor based pagination (after/before)"
)


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """Rows in order, each with its key; the keys ascend, a descending order has them negated."""

    rows: list[T]
    keys: list[Key]


def ordered(rows: Iterable[T], key: Callable[[T], Key], *, descending: bool) -> Rows[T]:
    sign = -1 if descending else 1
    pairs = sorted(((sign * key(row)[0], sign * key(row)[1]), n, row) for n, row in enumerate(rows))
    return Rows([row for _, _, row in pairs], [k for k, _, _ in pairs])


def page(call: Call, rows: Rows[T], shape: Callable[[T], bytes], *, cursors: bool = False) -> Answer:
    """One page as JSON bytes with its Link header."""
    query = call.query
    size = min(max(number(query.get("per_page"), 30), 1), MOST_PER_PAGE)
    at = max(number(query.get("page"), 1), 1)
    by_cursor = cursors and len(rows.rows) > call.switches.large_list_above
    if by_cursor and at > call.switches.page_depth:
        raise Refused(422, TOO_DEEP)
    after = query.get("after") if by_cursor else None
    start = bisect_right(rows.keys, uncursor(after)) if after else (at - 1) * size
    part = rows.rows[start : start + size]
    body = b"[" + b",".join([shape(row) for row in part]) + b"]"
    if by_cursor:
        links = _cursor_links(rows, start, size)
    else:
        links = _page_links(at, size, len(rows.rows))
    return Answer(200, body, {"link": _link(call, links, size)} if links else {})


def _page_links(at: int, size: int, total: int) -> dict[str, dict[str, str]]:
    last = max((total + size - 1) // size, 1)
    links: dict[str, dict[str, str]] = {}
    if at > 1:
        links["prev"] = {"page": str(min(at - 1, last))}
    if at < last:
        links["next"] = {"page": str(at + 1)}
        links["last"] = {"page": str(last)}
    if at > 1:
        links["first"] = {"page": "1"}
    return links


def _cursor_links(rows: Rows[T], start: int, size: int) -> dict[str, dict[str, str]]:
    end = start + size
    return {"next": {"after": cursor(rows.keys[end - 1])}} if end < len(rows.keys) else {}


def _link(call: Call, links: dict[str, dict[str, str]], size: int) -> str:
    """Links go to /repositories/{id}/…, whatever name the request used."""
    kept = {k: v for k, v in call.query.items() if k not in ("page", "after", "before")}
    if "per_page" in kept:
        kept["per_page"] = str(size)
    suffix = call.params.get("suffix", call.request.path.removeprefix("/api"))
    path = f"/repositories/{call.found.repo.id}{suffix}" if call.found else suffix
    base = API + quote(path)
    return ", ".join(f'<{base}?{urlencode({**kept, **where})}>; rel="{rel}"' for rel, where in links.items())


def cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(f"cursor:v2:{key[0]}:{key[1]}".encode()).decode()


def uncursor(text: str) -> Key:
    try:
        _, _, first, second = base64.urlsafe_b64decode(text).decode().split(":")
        return int(first), int(second)
    except ValueError as wrong:
        raise Refused(422, "Invalid cursor") from wrong


def number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else default


def since(call: Call, name: str = "since") -> int | None:
    """The moment asked for, or None; `since` equal to the moment of a change counts or not by a switch."""
    text = call.query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as wrong:
        raise Refused(422, "Invalid request. since is not a valid date") from wrong
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    at = int(moment.timestamp())
    return at if name != "since" or call.switches.since_inclusive else at + 1


def newer(rows: Iterable[T], moment: Callable[[T], int], since: int | None) -> list[T]:
    return [row for row in rows if since is None or moment(row) >= since]


def descending(call: Call, default: str) -> bool:
    return call.query.get("direction", default) == "desc"
