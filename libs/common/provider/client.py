"""How a facet talks to its provider: requests with a token, typed errors, budgets and validators noted on the way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider's headers say is left; `resets_at` in UTC."""

    limit: int
    remaining: int
    resets_at: datetime
    resource: str = "core"


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`headers` have lower-case names. `not_modified` is a 304: the body is empty, what we hold still stands."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def not_modified(self) -> bool:
        return self.status == 304


class ProviderHttp(Protocol):
    """One grant's view of one provider host. Answers any status; the facet's client maps statuses to errors."""

    api_url: str
    base_url: str

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
        follow: bool = True,
        largest_body: int | None = None,
    ) -> HttpAnswer:
        """`url` is absolute, or a path under `api_url`. Without `follow` a redirect is an answer like any other.

        `conditional` names the reader that sends the validator it kept for this URL, and keeps the new one: two
        readers of one URL hold different things, so a 304 for one proves nothing to the other.

        Raises ProviderUnavailable when no answer came, RetryAfter when none may be asked for now.
        Authorization goes to the api_url's host only.
        """
        ...

    def disbelieve(self, url: str, *, conditional: str) -> None:
        """The last answer was not what this URL stands for: the reader does not keep its validator."""
        ...

    def note_budget(self, budget: Budget) -> None:
        """What the answer's headers said; told before anything else is awaited, as is `note_limit`."""
        ...

    def note_limit(self, until: datetime) -> None:
        """The answer asked to wait: before `until` nobody calls with this account, in any replica."""
        ...
