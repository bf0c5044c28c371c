"""The mirror in an engine beside Postgres: what it must be told, what it may hold, which of its lives it is in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from libs.common.database.transaction import Transaction
from services.chunker.domain.mirroring import Document, Mirror, MirrorWanted
from services.chunker.repository import vectors
from services.chunker.repository.queues import fair_claim

# Nobody begins a mirror while a source is swapped: it would see neither the old chunks gone nor the new ones.
HOLD_MIRROR = "SELECT pg_advisory_xact_lock_shared(hashtext('chunker.mirror'))"
# Another epoch: whoever tells the engine of this source just now has read it before this change, and tells it again.
WANT = """
INSERT INTO mirror_wanted AS w (source_id, workspace_id)
SELECT given.source_id, CAST(:workspace_id AS text)
FROM mirror m CROSS JOIN unnest(CAST(:sources AS text[])) AS given(source_id)
WHERE m.state <> 'ended' ORDER BY given.source_id
ON CONFLICT (source_id) DO UPDATE SET epoch = w.epoch + 1, due_at = least(w.due_at, now()), attempts = 0
"""
# Whoever tells the engine of this workspace just now is done, or has given up, when this is due.
WANT_ERASED = """
INSERT INTO mirror_wanted (source_id, workspace_id, erase, due_at)
SELECT 'workspace:' || :workspace_id, CAST(:workspace_id AS text), true, now() + make_interval(secs => :after_s)
WHERE EXISTS (SELECT FROM mirror) ON CONFLICT DO NOTHING
"""

CLAIM = fair_claim(
    "mirror_wanted",
    "w.source_id, w.workspace_id, w.erase, w.attempts, w.epoch, "
    "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS version",
)
# The lease begins anew: the engine is told within it, or not at all.
HOLD = """
WITH held AS (
  SELECT w.source_id FROM mirror_wanted w
  JOIN unnest(CAST(:sources AS text[]), CAST(:epochs AS bigint[])) AS ours(source_id, epoch) USING (source_id, epoch)
  ORDER BY w.source_id FOR UPDATE OF w
)
UPDATE mirror_wanted w SET due_at = now() + make_interval(secs => :lease_s)
FROM held WHERE w.source_id = held.source_id RETURNING w.source_id
"""
DONE = """
DELETE FROM mirror_wanted w
USING unnest(CAST(:sources AS text[]), CAST(:epochs AS bigint[])) AS ours(source_id, epoch)
WHERE w.source_id = ours.source_id AND w.epoch = ours.epoch RETURNING w.source_id
"""
POSTPONE = """
UPDATE mirror_wanted w SET due_at = now() + make_interval(secs => :seconds), attempts = attempts + 1
FROM unnest(CAST(:sources AS text[]), CAST(:epochs AS bigint[])) AS ours(source_id, epoch)
WHERE w.source_id = ours.source_id AND w.epoch = ours.epoch
"""

DOCUMENTS = """
SELECT c.pk, c.source_id, c.words, s.type, s.provider, s.integration_id, s.resource_id, s.author, s.path, s.updated_at,
  coalesce((
    SELECT string_agg(repeat(p.lexeme || ' ', p.frequency), '') FROM posting p WHERE p.chunk_pk = c.pk
  ), '') AS lexemes
FROM chunk c JOIN indexed_source s ON s.id = c.source_id WHERE c.source_id = ANY(CAST(:sources AS text[]))
"""
LABELS = ("type", "provider", "integration_id", "resource_id", "author", "path", "updated_at")
# `pks` of the source from now on; answers those that the engine may hold beside them.
INTEND = """
INSERT INTO mirrored AS m (source_id, workspace_id, pks) VALUES (:source_id, :workspace_id, CAST(:pks AS bigint[]))
ON CONFLICT (source_id) DO UPDATE SET pks = ARRAY(SELECT unnest(m.pks) UNION SELECT unnest(excluded.pks))
RETURNING pks
"""
HOLDS_NOW = "UPDATE mirrored SET pks = CAST(:pks AS bigint[]) WHERE source_id = :source_id"
HOLDS_NONE = "DELETE FROM mirrored WHERE source_id = :source_id AND pks = '{}'"

LIVING = "SELECT id, state FROM mirror WHERE state <> 'ended'"
ENDED = "SELECT id, state FROM mirror WHERE state = 'ended' ORDER BY id"
PATIENTLY = "SELECT set_config('statement_timeout', '10min', true), set_config('transaction_timeout', '10min', true)"
FILLED = "SELECT NOT EXISTS (SELECT FROM mirror_wanted WHERE fill)"
WHOLE = """
UPDATE mirror SET state = 'whole'
WHERE id = :id AND state = 'filling' AND NOT EXISTS (SELECT FROM mirror_wanted WHERE fill)
"""
FRESH = "SELECT source_id FROM mirror_wanted WHERE NOT erase ORDER BY source_id LIMIT :most"
BACKLOG = """
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(wanted_at)), 0) AS oldest_s FROM mirror_wanted
"""


async def want(tx: Transaction, workspace: str, sources: Sequence[str]) -> None:
    """In each transaction that changes what a search may find of these sources; nothing while no mirror lives."""
    await tx.execute(HOLD_MIRROR)
    await tx.execute(WANT, workspace_id=workspace, sources=list(sources))


async def want_erased(tx: Transaction, workspace: str, after_s: float) -> None:
    await tx.execute(WANT_ERASED, workspace_id=workspace, after_s=after_s)


async def claim(tx: Transaction, limit: int, lease_s: float) -> list[MirrorWanted]:
    return [MirrorWanted(**row) for row in await tx.fetch_all(CLAIM, limit=limit, lease_s=lease_s)]


async def hold(tx: Transaction, wanted: Sequence[MirrorWanted], lease_s: float) -> list[str]:
    """The sources that are still ours; their rows stay locked until the transaction ends."""
    return [row["source_id"] for row in await tx.fetch_all(HOLD, **_ours(wanted), lease_s=lease_s)]


async def documents(tx: Transaction, sources: Sequence[str]) -> list[Document]:
    embedded: dict[int, dict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for row in await vectors.of_sources(tx, sources):
        embedded[row["chunk_pk"]][row["generation"]].append(row["embedding"])
    return [
        Document(
            pk=row["pk"],
            source_id=row["source_id"],
            words=row["words"],
            lexemes=row["lexemes"],
            labels={name: row[name] for name in LABELS},
            vectors=embedded[row["pk"]],
        )
        for row in await tx.fetch_all(DOCUMENTS, sources=list(sources))
    ]


async def intend(tx: Transaction, workspace: str, source_id: str, pks: Sequence[int]) -> list[int]:
    """Kept before the engine is told; answers what it may hold of the source beside `pks`."""
    held = await tx.fetch_value(INTEND, workspace_id=workspace, source_id=source_id, pks=list(pks))
    return sorted(set(held) - set(pks))


async def done(tx: Transaction, wanted: Sequence[MirrorWanted], told: Mapping[str, Sequence[int]]) -> None:
    """The wishes leave, and what the engine holds is exactly what it was told; not so where more was wanted since."""
    for row in await tx.fetch_all(DONE, **_ours(wanted)):
        await tx.execute(HOLDS_NOW, source_id=row["source_id"], pks=list(told.get(row["source_id"], ())))
        await tx.execute(HOLDS_NONE, source_id=row["source_id"])


async def postpone(tx: Transaction, wanted: Sequence[MirrorWanted], seconds: float) -> None:
    await tx.execute(POSTPONE, **_ours(wanted), seconds=seconds)


async def living(tx: Transaction) -> Mirror | None:
    row = await tx.fetch_one(LIVING)
    return Mirror(**row) if row else None


async def ended(tx: Transaction) -> list[Mirror]:
    return [Mirror(**row) for row in await tx.fetch_all(ENDED)]


async def begin(tx: Transaction, mirror_id: str) -> None:
    """A new life: every source is wanted in it, what lived before is ended."""
    await tx.execute(PATIENTLY)
    await tx.execute("SELECT begin_mirror(:id)", id=mirror_id)


async def end(tx: Transaction) -> None:
    await tx.execute("SELECT end_mirror()")


async def forget(tx: Transaction, mirror_id: str) -> None:
    await tx.execute("DELETE FROM mirror WHERE id = :id AND state = 'ended'", id=mirror_id)


async def fresh(tx: Transaction, most: int) -> list[str]:
    """Sources of this workspace whose last change the engine has yet to be told of."""
    return [row["source_id"] for row in await tx.fetch_all(FRESH, most=most)]


async def is_filled(tx: Transaction) -> bool:
    return bool(await tx.fetch_value(FILLED))


async def switch_when_whole(tx: Transaction, mirror_id: str) -> bool:
    return await tx.execute(WHOLE, id=mirror_id) > 0


async def backlog(tx: Transaction) -> tuple[int, float]:
    """Sources that the engine has yet to be told of, and the seconds that the oldest of them waits."""
    row = await tx.fetch_one(BACKLOG)
    assert row is not None  # noqa: S101 - an aggregate always answers
    return int(row["waiting"]), float(row["oldest_s"])


def _ours(wanted: Sequence[MirrorWanted]) -> dict[str, object]:
    return {"sources": [one.source_id for one in wanted], "epochs": [one.epoch for one in wanted]}
