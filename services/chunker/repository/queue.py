"""What must be indexed: the greatest version wins, claimed by lease."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.events import SourceChanged
from services.chunker.domain.indexing import Wanted
from services.chunker.repository.queues import fair_claim

# A source that is being indexed keeps its owner, who finds the newer version when it is done: else one that changes all
# the time would be taken from each before its end. A delete waits for nobody.
# What is indexed already is old news: a broker that lost its memory is told everything of a week again.
WANT = """
INSERT INTO index_wanted AS w (source_id, workspace_id, integration_id, provider, version, remove, traceparent)
SELECT CAST(:source_id AS text), CAST(:workspace_id AS text), CAST(:integration_id AS text), CAST(:provider AS text),
  CAST(:version AS bigint), CAST(:remove AS boolean), CAST(:traceparent AS text)
WHERE EXISTS (SELECT FROM known_workspace k WHERE k.workspace_id = :workspace_id)
  AND NOT EXISTS (SELECT FROM indexed_source i WHERE i.id = :source_id AND i.version >= :version)
ON CONFLICT (source_id) DO UPDATE SET version = excluded.version, remove = excluded.remove, attempts = 0,
  due_at = CASE WHEN w.held AND NOT excluded.remove THEN w.due_at ELSE now() END, traceparent = excluded.traceparent
WHERE w.version < excluded.version
"""

WANT_INTEGRATION_REMOVED = """
INSERT INTO index_wanted AS w (source_id, workspace_id, integration_id, provider, version, remove, traceparent)
SELECT id, workspace_id, integration_id, provider, version + 1, true, CAST(:traceparent AS text)
FROM indexed_source WHERE integration_id = :integration_id
ON CONFLICT (source_id) DO UPDATE SET version = w.version + 1, remove = true, due_at = now(), attempts = 0
"""

# Deletes first, then oldest first.
CLAIM = fair_claim(
    "index_wanted",
    "w.source_id, w.workspace_id, w.integration_id, w.provider, w.version, w.remove, w.attempts, w.epoch, "
    "w.traceparent",
    first="remove DESC, due_at",
    also="held = true",
)

DONE = "DELETE FROM index_wanted WHERE source_id = :source_id AND epoch = :epoch AND version <= :version"
HOLDS = "SELECT source_id FROM index_wanted WHERE source_id = :source_id AND epoch = :epoch FOR UPDATE"
RELEASE = "UPDATE index_wanted SET due_at = now(), held = false WHERE source_id = :source_id AND epoch = :epoch"
POSTPONE = """
UPDATE index_wanted SET due_at = now() + make_interval(secs => :seconds), attempts = attempts + 1, held = false
WHERE source_id = :source_id AND epoch = :epoch
"""


async def want(tx: Transaction, event: SourceChanged, traceparent: str | None) -> bool:
    row = {
        "source_id": event.source_id,
        "workspace_id": event.workspace_id,
        "integration_id": event.integration_id,
        "provider": event.provider,
        "version": event.version,
        "remove": event.change == "deleted",
        "traceparent": traceparent,
    }
    return await tx.execute(WANT, **row) > 0


async def want_integration_removed(tx: Transaction, integration_id: str, traceparent: str | None) -> int:
    parameters = {"integration_id": integration_id, "traceparent": traceparent}
    return await tx.execute(WANT_INTEGRATION_REMOVED, **parameters)


async def claim(tx: Transaction, limit: int, lease_s: float) -> list[Wanted]:
    rows = await tx.fetch_all(CLAIM, limit=limit, lease_s=lease_s)
    return [Wanted(**row) for row in rows]


async def holds(tx: Transaction, wanted: Wanted) -> bool:
    """Still ours? The row stays locked until the transaction ends, so no other owner writes beside us."""
    return bool(await tx.fetch_value(HOLDS, source_id=wanted.source_id, epoch=wanted.epoch))


async def done(tx: Transaction, wanted: Wanted, version: int) -> None:
    """Removes the wish, unless a newer version was wanted meanwhile: that one is due at once."""
    key = {"source_id": wanted.source_id, "epoch": wanted.epoch}
    if not await tx.execute(DONE, **key, version=version):
        await tx.execute(RELEASE, **key)


async def postpone(tx: Transaction, wanted: Wanted, seconds: float) -> None:
    await tx.execute(POSTPONE, source_id=wanted.source_id, epoch=wanted.epoch, seconds=seconds)
