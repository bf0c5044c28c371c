"""Idempotency-Key on POST: the same key and request get the first answer, whatever happened to the connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256

from libs.common.database.transaction import Transaction
from libs.common.errors import Conflict
from libs.common.ids import new_id
from services.auth.deps import Deps
from services.auth.domain.input import check_idempotency_key
from services.auth.domain.refusals import KeyInUse, KeyReused
from services.auth.repository import keys
from services.auth.use_cases.held import require_workspace

# Longer than any request may run: a claim this old belongs to a process that died.
ABANDONED_SECONDS = 120

Finish = Callable[[Transaction, bytes], Awaitable[None]]


async def answer_once(
    *, deps: Deps, workspace: str, key: str | None, request: bytes, work: Callable[[Finish], Awaitable[bytes]]
) -> bytes:
    """`work` calls `finish(tx, answer)` inside the transaction that does the thing, so both are there or neither.

    A failure is not kept: the same key may be tried again. Without a key nothing is kept.
    """
    if key is None:
        return await work(_keep_nothing)
    claim = new_id()
    stored = await _claim(deps=deps, workspace=workspace, key=check_idempotency_key(key), request=request, claim=claim)
    if stored is not None:
        return stored

    async def finish(tx: Transaction, answer: bytes) -> None:
        if not await keys.finish_key(tx, key=key, claim=claim, response=answer):
            raise Conflict("another request with this Idempotency-Key took over; read its result")

    done = False
    try:
        answer = await work(finish)
        done = True
    finally:
        if not done:
            async with deps.db.transaction(workspace) as tx:
                await keys.release_key(tx, key=key, claim=claim)
    return answer


async def _keep_nothing(tx: Transaction, answer: bytes) -> None:
    """Nobody will ask for this answer again."""


async def _claim(*, deps: Deps, workspace: str, key: str, request: bytes, claim: str) -> bytes | None:
    """None = ours to do; bytes = the answer of before. Raises KeyReused (422) or KeyInUse (409)."""
    digest = sha256(request).hexdigest()
    hours = deps.settings.idempotency_hours
    async with deps.db.transaction(workspace) as tx:
        await require_workspace(tx)
        if await keys.claim_key(
            tx, key=key, claim=claim, request_hash=digest, hours=hours, abandoned_seconds=ABANDONED_SECONDS
        ):
            return None
        row = await keys.find_key(tx, key)
    if row is not None and row["request_hash"] != digest:
        raise KeyReused("this Idempotency-Key was used for another request; use a new key", pointer="/idempotency-key")
    if row is None or row["state"] == "running":
        raise KeyInUse("a request with this Idempotency-Key is running; try again when it has ended")
    return bytes(row["response"])
