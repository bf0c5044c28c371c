"""Deliveries that GitHub could not deliver: it never tries again by itself, but lists them and sends one when asked.

Source: docs "Handling failed webhook deliveries", "Redelivering webhooks", REST "Repository webhook deliveries".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from libs.common.errors import ResourceGone
from libs.common.provider.client import HttpAnswer, ProviderHttp
from libs.common.provider.webhooks import Missed
from libs.providers.github.client import HEADERS, check_hook, decode, next_link, note_budget

UNDER_WAY = "pending"


class Attempt(msgspec.Struct, frozen=True):
    """`guid` is the same for every attempt of one delivery; `id` is of this attempt alone."""

    id: int
    guid: str
    delivered_at: datetime
    status: str = ""
    status_code: int = 0

    @property
    def got_through(self) -> bool:
        """Docs: `success` are the codes 200 to 399. What is under way is nobody's loss yet."""
        return 200 <= self.status_code < 400 or self.status == UNDER_WAY


async def find_missed(http: ProviderHttp, hook: str, since: datetime) -> Sequence[Missed]:
    """GitHub's own filter `status=failure` leaves out what has no code from 400 to 599, so every attempt is read."""
    newest: dict[str, Attempt] = {}
    delivered: set[str] = set()
    async for attempt in _attempts(http, hook, since):
        newest.setdefault(attempt.guid, attempt)
        if attempt.got_through:
            delivered.add(attempt.guid)
    return [
        Missed(delivery_key=guid, attempt=str(attempt.id), failed_at=attempt.delivered_at)
        for guid, attempt in newest.items()
        if guid not in delivered
    ]


async def ask_again(http: ProviderHttp, hook: str, attempt: str) -> None:
    answer = await http.request("POST", f"{hook}/deliveries/{attempt}/attempts", headers=HEADERS)
    if answer.status == 404:
        note_budget(http, answer)
        raise ResourceGone("GitHub no longer keeps this delivery")
    check_hook(http, answer)


async def _attempts(http: ProviderHttp, hook: str, since: datetime) -> AsyncIterator[Attempt]:
    """Newest first, back to `since`."""
    url: str | None = f"{hook}/deliveries?per_page=100"
    while url:
        answer = await _page(http, url)
        page = decode(answer, list[Attempt])
        for attempt in page:
            if attempt.delivered_at >= since:
                yield attempt
        url = next_link(answer) if page and page[-1].delivered_at >= since else None


async def _page(http: ProviderHttp, url: str) -> HttpAnswer:
    answer = await http.request("GET", url, headers=HEADERS)
    check_hook(http, answer)
    return answer
