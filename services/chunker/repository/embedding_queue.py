"""Sources with chunks that have no vector yet: a row a source and generation, claimed by lease."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Transaction
from services.chunker.domain.embedding import EmbedWanted
from services.chunker.repository.queues import fair_claim

# A source that is being embedded keeps its owner, who sees the new chunks when it settles: the row is locked, no more.
# Nobody begins a generation while a source is swapped: it would see neither the old chunks gone nor the new ones.
HOLD_GENERATIONS = "SELECT pg_advisory_xact_lock_shared(hashtext('chunker.generation'))"
WANT = """
INSERT INTO embed_wanted AS w (source_id, generation, workspace_id)
SELECT CAST(:source_id AS text), id, CAST(:workspace_id AS text) FROM embedding_generation WHERE state <> 'retired'
ORDER BY id
ON CONFLICT (source_id, generation) DO UPDATE SET epoch = w.epoch
"""
FORGET = "DELETE FROM embed_wanted WHERE source_id = :source_id"

# Within a workspace the sources take turns, because a source goes to the end with each claim.
CLAIM = fair_claim(
    "embed_wanted",
    "w.source_id, w.generation, w.workspace_id, w.attempts, w.epoch",
    key=("source_id", "generation"),
    among="w.generation = :generation",
)
HELD = """
SELECT w.source_id FROM embed_wanted w
JOIN unnest(CAST(:sources AS text[]), CAST(:epochs AS bigint[])) AS ours(source_id, epoch) USING (source_id, epoch)
WHERE w.generation = :generation ORDER BY w.source_id FOR UPDATE OF w
"""
DONE = """
DELETE FROM embed_wanted w
WHERE w.generation = :generation AND w.source_id = ANY(CAST(:sources AS text[])) AND NOT EXISTS (
  SELECT FROM chunk c WHERE c.source_id = w.source_id
  AND NOT EXISTS (SELECT FROM chunk_vector v WHERE v.chunk_pk = c.pk AND v.generation = :generation)
)
"""
RELEASE = """
UPDATE embed_wanted SET due_at = now(), attempts = 0
WHERE generation = :generation AND source_id = ANY(CAST(:sources AS text[]))
"""
POSTPONE = """
UPDATE embed_wanted w SET due_at = now() + make_interval(secs => :seconds), attempts = attempts + 1
FROM unnest(CAST(:sources AS text[]), CAST(:epochs AS bigint[])) AS ours(source_id, epoch)
WHERE w.generation = :generation AND w.source_id = ours.source_id AND w.epoch = ours.epoch
"""
WAITING = "SELECT count(*) FROM embed_wanted WHERE generation = :generation"


async def want(tx: Transaction, workspace: str, source_id: str) -> None:
    """First of all in a transaction that changes the source's chunks: whoever saves vectors locks in this order."""
    await tx.execute(HOLD_GENERATIONS)
    await tx.execute(WANT, workspace_id=workspace, source_id=source_id)


async def forget(tx: Transaction, source_id: str) -> None:
    await tx.execute(FORGET, source_id=source_id)


async def claim(tx: Transaction, generation: int, limit: int, lease_s: float) -> list[EmbedWanted]:
    rows = await tx.fetch_all(CLAIM, generation=generation, limit=limit, lease_s=lease_s)
    return [EmbedWanted(**row) for row in rows]


async def held(tx: Transaction, wanted: Sequence[EmbedWanted]) -> list[str]:
    """The sources that are still ours; their rows stay locked until the transaction ends."""
    return [row["source_id"] for row in await tx.fetch_all(HELD, **_ours(wanted))]


async def settle(tx: Transaction, generation: int, sources: Sequence[str]) -> None:
    """What is whole leaves; the rest is due again, behind the others."""
    key = {"generation": generation, "sources": list(sources)}
    await tx.execute(DONE, **key)
    await tx.execute(RELEASE, **key)


async def postpone(tx: Transaction, wanted: Sequence[EmbedWanted], seconds: float) -> None:
    await tx.execute(POSTPONE, **_ours(wanted), seconds=seconds)


async def waiting(tx: Transaction, generation: int) -> int:
    return int(await tx.fetch_value(WAITING, generation=generation))


def _ours(wanted: Sequence[EmbedWanted]) -> dict[str, object]:
    return {
        "generation": wanted[0].generation,
        "sources": [one.source_id for one in wanted],
        "epochs": [one.epoch for one in wanted],
    }
