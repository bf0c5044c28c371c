"""Generations of vectors: which one answers, which one is being built."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from services.chunker.domain.embedding import Generation

LIVING = """
SELECT id, name, dimension, state FROM embedding_generation WHERE state <> 'retired' ORDER BY state, id
"""
# The index reads the whole table to find nothing of the new generation yet.
PATIENTLY = "SELECT set_config('statement_timeout', '10min', true), set_config('transaction_timeout', '10min', true)"
BEGIN = "SELECT begin_generation(:name, :dimension)"
# A source that is swapped meanwhile leaves rows here in the same transaction: none here means that all is embedded.
WHOLE = """
SELECT id FROM embedding_generation g
WHERE g.name = :name AND g.state = 'building' AND NOT EXISTS (SELECT FROM embed_wanted w WHERE w.generation = g.id)
FOR UPDATE
"""
RETIRE = "UPDATE embedding_generation SET state = 'retired', retired_at = now() WHERE state <> 'retired' AND id <> :id"
ACTIVATE = "UPDATE embedding_generation SET state = 'active', activated_at = now() WHERE id = :id"
DROP_RETIRED = "SELECT drop_retired_vectors(:most, make_interval(secs => :after_s))"


async def living(tx: Transaction) -> list[Generation]:
    """The active one first, if there is one."""
    return [Generation(**row) for row in await tx.fetch_all(LIVING)]


async def begin(tx: Transaction, name: str, dimension: int) -> None:
    """Wants every source embedded anew, unless this model has its generation already. The first one answers at once."""
    await tx.execute(PATIENTLY)
    await tx.execute(BEGIN, name=name, dimension=dimension)


async def switch_when_whole(tx: Transaction, name: str) -> bool:
    """From one commit to the next, all queries use the new one; True if that happened now."""
    found = await tx.fetch_value(WHOLE, name=name)
    if found is None:
        return False
    await tx.execute(RETIRE, id=found)
    await tx.execute(ACTIVATE, id=found)
    return True


async def drop_retired(tx: Transaction, most: int, after_s: float) -> bool:
    """A batch of the vectors that nothing asks for any more; False when none is left."""
    return bool(await tx.fetch_value(DROP_RETIRED, most=most, after_s=after_s))
