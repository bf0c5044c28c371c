"""Rows of Idempotency-Keys: claimed, answered, released."""

from __future__ import annotations

from libs.common.database.transaction import Row, Transaction


async def claim_key(
    tx: Transaction, *, key: str, claim: str, request_hash: str, hours: int, abandoned_seconds: int
) -> bool:
    """False when someone else's row stands. Answers older than `hours` and runs that died are forgotten first."""
    await tx.execute(
        "DELETE FROM idempotency WHERE workspace_id = :workspace"
        " AND (created_at < now() - make_interval(hours => :hours)"
        " OR (key = :key AND state = 'running' AND created_at < now() - make_interval(secs => :abandoned)))",
        workspace=tx.workspace,
        key=key,
        hours=hours,
        abandoned=abandoned_seconds,
    )
    added = await tx.execute(
        "INSERT INTO idempotency (workspace_id, key, claim, request_hash, state)"
        " VALUES (:workspace, :key, :claim, :hash, 'running') ON CONFLICT DO NOTHING",
        workspace=tx.workspace,
        key=key,
        claim=claim,
        hash=request_hash,
    )
    return added == 1


async def find_key(tx: Transaction, key: str) -> Row | None:
    return await tx.fetch_one(
        "SELECT request_hash, state, response FROM idempotency WHERE workspace_id = :workspace AND key = :key",
        workspace=tx.workspace,
        key=key,
    )


async def finish_key(tx: Transaction, *, key: str, claim: str, response: bytes) -> bool:
    """False when the claim was taken over: the caller's work must not be committed."""
    return (
        await tx.execute(
            "UPDATE idempotency SET state = 'done', response = :response"
            " WHERE workspace_id = :workspace AND key = :key AND claim = :claim",
            workspace=tx.workspace,
            key=key,
            claim=claim,
            response=response,
        )
        == 1
    )


async def release_key(tx: Transaction, *, key: str, claim: str) -> None:
    await tx.execute(
        "DELETE FROM idempotency WHERE workspace_id = :workspace AND key = :key AND claim = :claim"
        " AND state = 'running'",
        workspace=tx.workspace,
        key=key,
        claim=claim,
    )
