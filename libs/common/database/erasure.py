"""The end of a workspace and those who write of it meanwhile: what is written goes with it, or is not written."""

from __future__ import annotations

from libs.common.database.transaction import Transaction

# One for each workspace in each schema: shared by whoever writes what nothing else keeps an erasure away from.
HOLD_OFF = "SELECT pg_advisory_xact_lock_shared(hashtextextended(:whose, 0))"
WAIT = "SELECT pg_advisory_xact_lock(hashtextextended(:whose, 0))"
FIND = "SELECT EXISTS (SELECT FROM erased_workspace WHERE workspace_id = :workspace)"
MARK = "INSERT INTO erased_workspace (workspace_id) VALUES (:workspace) ON CONFLICT DO NOTHING"


async def hold_off(tx: Transaction) -> None:
    """No erasure of the transaction's workspace begins before it ends."""
    await tx.execute(HOLD_OFF, whose=_whose(tx))


async def is_erased(tx: Transaction) -> bool:
    """What is answered stays true until the transaction ends."""
    await hold_off(tx)
    return bool(await tx.fetch_value(FIND, workspace=tx.workspace))


async def begin(tx: Transaction) -> bool:
    """Waits for all who hold it off. False when it began before: then somebody clears the workspace away, or has."""
    await tx.execute(WAIT, whose=_whose(tx))
    return await tx.execute(MARK, workspace=tx.workspace) > 0


def _whose(tx: Transaction) -> str:
    return f"{tx.service} erases {tx.workspace}"
