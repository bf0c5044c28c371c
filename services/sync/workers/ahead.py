"""Pages are asked for while those before them are committed, and what has come by then is committed together."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from types import TracebackType

from libs.common.errors import ProviderContractBroken, ProviderUnavailable
from libs.common.provider.sync import Page
from services.sync.workers.pulled import Pulled, Used, pulled

MOST_WAITING = 3
MOST_BYTES = 4 * 1024 * 1024  # of the answers that wait: large pages are not heaped up


class Ahead:
    """Pages of one stream in their order. Leaving it ends what is under way, and the stream after that.

    `moment` tells the newest time of the database that is known, `used` what the page cost that came last.
    `goes_on`: set to False, no page is asked for that nobody waits for. `joins` False: each page is taken alone.
    """

    def __init__(
        self,
        pages: AsyncGenerator[Page, None],
        seconds: float,
        *,
        moment: Callable[[], datetime],
        used: Callable[[], Used],
        joins: bool = True,
    ) -> None:
        self.goes_on = True
        self._pages = pages
        self._seconds = seconds
        self._moment = moment
        self._used = used
        self._joins = joins
        self._waiting: deque[Pulled] = deque()
        self._coming: asyncio.Task[None] | None = None
        self._context = contextvars.copy_context()  # a request ahead is no part of the page that is being committed

    @property
    def is_empty(self) -> bool:
        """Nothing waits, and nothing was asked for."""
        return not self._waiting and self._coming is None

    def ask(self) -> None:
        """For one more page, unless it is asked for or those that wait are enough."""
        if self.goes_on and self._coming is None and self._has_room():
            self._coming = self._started()

    async def take(self) -> Pulled:
        """The next page, and with it those after it that have come and may join it. Raises what the stream raised."""
        if not self._waiting:
            self._coming = self._coming or self._started()
            await self._coming
        found = self._waiting.popleft()
        while self._joins and self._waiting and (more := found.joined(self._waiting[0])):
            found = more
            self._waiting.popleft()
        return found

    def _has_room(self) -> bool:
        """A page that needs its provider once more is not followed until that is done."""
        if not self._waiting:
            return True
        newest, size = self._waiting[-1], sum(one.used.spent.bytes for one in self._waiting)
        is_followed = newest.is_plain and not newest.page.last
        return is_followed and len(self._waiting) < MOST_WAITING and size < MOST_BYTES

    def _started(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._bring(), name="page ahead", context=self._context)

    async def _bring(self) -> None:
        """One page that failed stays the one that is coming: whoever takes it meets the failure."""
        self._waiting.append(await self._next())
        self._coming = None
        self.ask()

    async def __aenter__(self) -> Ahead:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.goes_on = False
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        await self._pages.aclose()

    async def _next(self) -> Pulled:
        since = self._moment()
        try:
            async with asyncio.timeout(self._seconds):
                page = await anext(self._pages, None)
        except TimeoutError:
            raise ProviderUnavailable("no whole page came in time") from None
        if page is None:
            raise ProviderContractBroken("the stream ended before its last page")
        return pulled(page, since, self._used())
