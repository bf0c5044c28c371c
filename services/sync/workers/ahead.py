"""The next page is asked for while the one before it is committed: one ahead, and it goes with any failure."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator
from datetime import datetime
from types import TracebackType

from libs.common.errors import ProviderContractBroken, ProviderUnavailable
from libs.common.provider.sync import Page


class OneAhead:
    """Pages of one stream in their order. Leaving it ends what is under way, and the stream after that.

    `since` is the database's time before the request: what another lane wrote later may be newer than the page.
    """

    def __init__(self, pages: AsyncGenerator[Page, None], seconds: float) -> None:
        self._pages = pages
        self._seconds = seconds
        self._coming: asyncio.Task[tuple[Page, datetime]] | None = None
        self._context = contextvars.copy_context()  # a request ahead is no part of the page that is being committed

    def ask(self, since: datetime) -> None:
        """Harmless when it is asked for already."""
        self._coming = self._coming or self._started(since)

    async def take(self, since: datetime) -> tuple[Page, datetime]:
        """The next page and its `since`. Raises what the stream raised."""
        self._coming = self._coming or self._started(since)
        found = await self._coming
        self._coming = None
        return found

    def _started(self, since: datetime) -> asyncio.Task[tuple[Page, datetime]]:
        return asyncio.create_task(self._next(since), name="page ahead", context=self._context)

    async def __aenter__(self) -> OneAhead:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        await self._pages.aclose()

    async def _next(self, since: datetime) -> tuple[Page, datetime]:
        try:
            async with asyncio.timeout(self._seconds):
                page = await anext(self._pages, None)
        except TimeoutError:
            raise ProviderUnavailable("no whole page came in time") from None
        if page is None:
            raise ProviderContractBroken("the stream ended before its last page")
        return page, since
