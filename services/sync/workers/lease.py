"""Doing work while its lease is kept alive; whoever loses the lease stops at once and writes nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from libs.common.errors import Contended, DependencyDown, LeaseLost
from services.sync.deps import Deps
from services.sync.repository import leases

T = TypeVar("T")
BEATS_A_LEASE = 3
OURS = "an error of ours, see the log"


async def under_lease(deps: Deps, table: str, row_id: str, epoch: int, work: Coroutine[Any, Any, T]) -> T:
    """Raises LeaseLost when another owner took over; the work is cancelled then."""
    doing = asyncio.create_task(work)
    beating = asyncio.create_task(_beat(deps, table, row_id, epoch))
    try:
        await asyncio.wait({doing, beating}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        doing.cancel()
        await asyncio.wait({doing})
        raise LeaseLost("another owner took this work over")
    finally:
        for task in (doing, beating):
            task.cancel()
        await asyncio.gather(doing, beating, return_exceptions=True)


async def settled(work: Awaitable[None], *, crashed: Callable[[], Awaitable[None]]) -> None:
    """A bug of ours counts as a failed attempt, so that it cannot hold its lane for ever, and then shows itself."""
    try:
        await work
    except LeaseLost:
        raise
    except Exception:  # whatever the bug is, the claim is not left to run out again and again
        await crashed()
        raise


async def _beat(deps: Deps, table: str, row_id: str, epoch: int) -> None:
    """Returns when the lease is lost. While Postgres is away nobody else can take it either, nor while the row is held:
    as a rule by a page of ours that takes long to commit, which would be thrown away and begun again without end.
    """
    held = True
    while held:
        await asyncio.sleep(deps.settings.sync_lease_seconds / BEATS_A_LEASE)
        try:
            async with deps.db.queue() as tx:
                held = await leases.beat(tx, table, row_id, epoch=epoch, lease=deps.lease)
        except (DependencyDown, Contended):
            continue
