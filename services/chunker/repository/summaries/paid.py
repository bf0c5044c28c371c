"""What an endpoint was paid for: answers by what was asked, and the tokens of each day, of one workspace."""

from __future__ import annotations

from datetime import timedelta

from libs.common.database.transaction import Transaction

ANSWER = "SELECT text FROM summary_paid WHERE model = :model AND input_hash = :input_hash"
KEEP = """
INSERT INTO summary_paid (workspace_id, model, input_hash, text) VALUES (:workspace_id, :model, :input_hash, :text)
ON CONFLICT (workspace_id, model, input_hash) DO NOTHING
"""
ANY_KEPT = "SELECT EXISTS (SELECT FROM summary_paid)"
# Since when no summary is made of what was asked. One that is made of it again later finds the answer still there.
READ_AGAIN = """
UPDATE summary_paid p SET unread_since = NULL
WHERE unread_since IS NOT NULL AND EXISTS (SELECT FROM summary s WHERE s.input_hash = p.input_hash)
"""
UNREAD = """
UPDATE summary_paid p SET unread_since = now()
WHERE unread_since IS NULL AND NOT EXISTS (SELECT FROM summary s WHERE s.input_hash = p.input_hash)
"""
DROP_UNREAD = "DELETE FROM summary_paid WHERE unread_since < now() - CAST(:after AS interval)"
# Taken before the call: two replicas together never spend more than the day's budget.
SPEND = """
INSERT INTO summary_spent AS s (workspace_id, day, tokens)
SELECT :workspace_id, CAST(now() AT TIME ZONE 'UTC' AS date), CAST(:tokens AS bigint)
WHERE CAST(:tokens AS bigint) <= CAST(:budget AS bigint)
ON CONFLICT (workspace_id, day) DO UPDATE SET tokens = s.tokens + excluded.tokens
WHERE s.tokens + excluded.tokens <= :budget
"""
# The day that it was taken from, also when the answer came after midnight.
DAY = "SELECT CAST(CAST(now() AT TIME ZONE 'UTC' AS date) AS text)"
SETTLE = """
UPDATE summary_spent SET tokens = greatest(tokens + :more, 0) WHERE day = CAST(CAST(:day AS text) AS date)
"""


async def answer(tx: Transaction, model: str, input_hash: str) -> str | None:
    found: str | None = await tx.fetch_value(ANSWER, model=model, input_hash=input_hash)
    return found


async def keep(tx: Transaction, workspace: str, model: str, input_hash: str, text: str) -> None:
    await tx.execute(KEEP, workspace_id=workspace, model=model, input_hash=input_hash, text=text)


async def any_kept(tx: Transaction) -> bool:
    return bool(await tx.fetch_value(ANY_KEPT))


async def drop_unread(tx: Transaction, after: timedelta) -> int:
    """Answers that no summary of the workspace has been made of for so long."""
    await tx.execute(READ_AGAIN)
    await tx.execute(UNREAD)
    return await tx.execute(DROP_UNREAD, after=after)


async def spend(tx: Transaction, workspace: str, tokens: int, budget: int) -> str | None:
    """The day it was taken from; None when the day's budget does not hold so much more."""
    if not await tx.execute(SPEND, workspace_id=workspace, tokens=tokens, budget=budget):
        return None
    return str(await tx.fetch_value(DAY))


async def settle(tx: Transaction, day: str, more: int) -> None:
    """What a call cost beyond what was taken for it; less than nothing if it cost less."""
    await tx.execute(SETTLE, day=day, more=more)
