"""Deliveries that arrive together share one commit: 2.9 times less of Postgres for each (PERFORMANCE.md, section A)."""

from __future__ import annotations

import asyncio
from collections import deque

from asyncpg import IntegrityConstraintViolationError

from libs.common.database.engine import Database
from libs.common.errors import NotFound
from libs.common.events import WebhookReceived
from libs.common.telemetry.tracing import use_traceparent
from libs.common.testing.crashpoints import crashpoint
from services.webhooks.domain import Arrival
from services.webhooks.repository import deliveries

FLUSHERS = 2
MOST_ROWS = 128

Waiting = tuple[Arrival, asyncio.Future[bool]]


class Inbox:
    """`put` returns after the commit: what was answered 2xx is in Postgres, and its event in the outbox beside it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: deque[Waiting] = deque()
        self._flushing: set[asyncio.Task[None]] = set()

    async def put(self, arrival: Arrival) -> bool:
        """False for a repeat. Raises NotFound when the endpoint is gone, DependencyDown when Postgres is away."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, future))
        if len(self._flushing) < FLUSHERS:
            task = asyncio.create_task(self._drain())
            self._flushing.add(task)
            task.add_done_callback(self._flushing.discard)
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_ROWS))]
            # One order for every flusher, or two of them could wait for each other's keys.
            batch.sort(key=lambda one: (one[0].endpoint_id, one[0].delivery_key))
            await self._flush(batch)

    async def _flush(self, batch: list[Waiting]) -> None:
        """Resolves every future. An endpoint erased meanwhile fails its own deliveries, not its neighbours'."""
        (storing,), _ = await asyncio.wait([asyncio.create_task(self._store([arrival for arrival, _ in batch]))])
        error = storing.exception()
        if isinstance(error, IntegrityConstraintViolationError) and len(batch) > 1:
            for one in batch:
                await self._flush([one])
            return
        if isinstance(error, IntegrityConstraintViolationError):
            error = NotFound()
        for arrival, future in batch:
            _resolve(future, error, arrival.id in storing.result() if error is None else False)

    async def _store(self, arrivals: list[Arrival]) -> set[str]:
        async with self._db.queue() as tx:
            stored = await deliveries.store(tx, arrivals)
            for arrival in arrivals:
                if arrival.id in stored and arrival.outcome == "handled":
                    with use_traceparent(arrival.traceparent):
                        await tx.emit(received(arrival))
            crashpoint("webhooks.delivery_stored")
        crashpoint("webhooks.delivery_committed")
        return stored


def received(arrival: Arrival) -> WebhookReceived:
    return WebhookReceived(
        workspace_id=arrival.workspace_id,
        integration_id=arrival.integration_id,
        delivery_id=arrival.id,
        provider=arrival.provider,
        event=arrival.event,
        hints=arrival.hints,
        received_at=arrival.received_at,
    )


def _resolve(future: asyncio.Future[bool], error: BaseException | None, stored: bool) -> None:
    """The asker may have gone away by now."""
    if future.done():
        return
    if error is None:
        future.set_result(stored)
    else:
        future.set_exception(error)
