"""A provider's host that answers from a script, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from libs.common.clock import SystemClock
from libs.common.provider.client import Budget, HttpAnswer
from libs.common.provider.sync import Resource, SyncContext

Given = tuple[int, Any] | tuple[int, Any, dict[str, str]]


class Scripted:
    """Implements ProviderHttp: one answer a request, in order; the last one stays."""

    api_url = "https://api.github.com"
    base_url = "https://github.com"

    def __init__(self, *answers: Given) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.budget: Budget | None = None
        self.limited_until: datetime | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        conditional: str = "",
        authorized: bool = True,
    ) -> HttpAnswer:
        asked = {"method": method, "url": url, "headers": dict(headers or {}), "params": dict(params or {})}
        self.asked.append({**asked, "body": body, "authorized": authorized})
        status, given, *more = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        written = given if isinstance(given, bytes) else msgspec.json.encode(given)
        return HttpAnswer(status=status, headers=more[0] if more else {}, body=written, url=url)

    def note_budget(self, budget: Budget) -> None:
        self.budget = budget

    def note_limit(self, until: datetime) -> None:
        self.limited_until = until

    def context(self) -> SyncContext:
        resource = Resource(kind="repository", external_id="7", name="octo/hello", url="https://github.com/octo/hello")
        return SyncContext(http=self, clock=SystemClock(), config={}, features=("code", "prs"), resource=resource)
