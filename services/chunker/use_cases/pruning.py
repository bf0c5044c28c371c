"""Answers of a summary endpoint leave when nothing has been made of them for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.jobs import run_later
from services.chunker.repository.summaries import paid

PRUNE_ANSWERS = "prune_answers"
EVERY = timedelta(days=1)
KEPT = timedelta(days=30)  # an edit that is taken back within this time costs nothing


async def prune_later(tx: Transaction) -> None:
    """Asked for before a workspace's first answer is kept; from then on the job asks for itself."""
    if not await paid.any_kept(tx):
        await run_later(tx, PRUNE_ANSWERS, "", {}, datetime.now(UTC) + EVERY)


async def prune_answers(db: Database, workspace: str, kept: timedelta = KEPT) -> int:
    """How many left; it is done once more tomorrow as long as any is there."""
    async with db.transaction(workspace) as tx:
        dropped = await paid.drop_unread(tx, kept)
        if await paid.any_kept(tx):
            await run_later(tx, PRUNE_ANSWERS, "", {}, datetime.now(UTC) + EVERY)
    return dropped
