"""Feedback: one word a person and target, counted for its integration, and a score that ranking can join."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from libs.common.database.transaction import Row, Transaction
from libs.common.ids import new_id
from services.chunker.domain.feedback import SIGNALS, Counts, Given, Target

# The source cannot leave before this is written; what leaves takes its feedback along.
TARGET = """
SELECT i.integration_id, i.id AS source_id, i.content_hash FROM indexed_source i
WHERE i.id = coalesce(CAST(:source_id AS text),
  (SELECT c.source_id FROM chunk c WHERE c.id = CAST(:chunk_id AS text) LIMIT 1))
  AND (CAST(:chunk_id AS text) IS NULL OR EXISTS (SELECT FROM chunk c WHERE c.source_id = i.id AND c.id = :chunk_id))
FOR KEY SHARE OF i
"""
OPEN_COUNT = """
INSERT INTO feedback_count (id, workspace_id, version) VALUES (:id, :workspace_id, 0) ON CONFLICT DO NOTHING
"""
LOCK_COUNT = "SELECT id FROM feedback_count WHERE id = :id FOR UPDATE"
SAID = """
SELECT id, signal, query, comment FROM feedback
WHERE source_id = :source_id AND chunk_id = :chunk_id AND subject = :subject
"""
SAVE = """
INSERT INTO feedback (id, workspace_id, integration_id, source_id, chunk_id, subject, signal, query, comment,
  content_hash)
VALUES (:id, :workspace_id, :integration_id, :source_id, :chunk_id, :subject, :signal, :query, :comment, :content_hash)
ON CONFLICT (source_id, chunk_id, subject) DO UPDATE SET signal = excluded.signal, query = excluded.query,
  comment = excluded.comment, content_hash = excluded.content_hash, recorded_at = now()
RETURNING id
"""
RECOUNT = """
UPDATE feedback_count SET helpful = helpful + :helpful, unhelpful = unhelpful + :unhelpful,
  outdated = outdated + :outdated, incorrect = incorrect + :incorrect,
  version = greatest(version + 1, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint))
WHERE id = :id RETURNING version, helpful, unhelpful, outdated, incorrect
"""
COUNTS = "SELECT version, helpful, unhelpful, outdated, incorrect FROM feedback_count WHERE id = :id"
PAGE = """
SELECT id, source_id, chunk_id, signal, query, comment, recorded_at FROM feedback
WHERE integration_id = :integration_id {after} ORDER BY recorded_at DESC, id DESC LIMIT :limit
"""
AFTER = "AND (recorded_at, id) < (CAST(:at AS timestamptz), :id)"
FORGET_SOURCE = "DELETE FROM feedback WHERE source_id = :source_id RETURNING signal"
INTEGRATION_OF = "SELECT integration_id FROM feedback WHERE source_id = :source_id LIMIT 1"
FORGET_INTEGRATION = "DELETE FROM feedback WHERE integration_id = :integration_id"
FORGET_COUNT = "DELETE FROM feedback_count WHERE id = :integration_id"

# Between -1 and 1: what few said weighs little, what was said half a year ago half as much, what was said of a source
# whose text has changed since a quarter. A chunk whose text changed is another chunk.
SCORES = """
SELECT pk, CAST(sum(CASE signal WHEN 'helpful' THEN weight ELSE -weight END) / (3.0 + sum(weight)) AS double precision)
  AS score
FROM (
  SELECT k.pk, f.signal, CASE WHEN f.chunk_id <> '' OR f.content_hash = i.content_hash THEN 1.0 ELSE 0.25 END
    * power(0.5, extract(epoch FROM CAST(:moment AS timestamptz) - f.recorded_at) / (180 * 86400.0))
    AS weight
  FROM chunk k JOIN indexed_source i ON i.id = k.source_id
  JOIN feedback f ON f.source_id = k.source_id AND (f.chunk_id = k.id OR f.chunk_id = '')
  WHERE k.pk = ANY(CAST(:pks AS bigint[])) AND f.recorded_at <= CAST(:moment AS timestamptz)
) said GROUP BY pk
"""
MOMENT = "SELECT now()"


async def target(tx: Transaction, given: Given) -> Target | None:
    """What it is about, held until the transaction ends; None if it is not here."""
    row = await tx.fetch_one(TARGET, source_id=given.source_id, chunk_id=given.chunk_id)
    return None if row is None else Target(**row, chunk_id=given.chunk_id or "")


async def lock_counts(tx: Transaction, workspace: str, integration_id: str) -> None:
    await tx.execute(OPEN_COUNT, id=integration_id, workspace_id=workspace)
    await tx.execute(LOCK_COUNT, id=integration_id)


async def said(tx: Transaction, about: Target, subject: str) -> Row | None:
    return await tx.fetch_one(SAID, source_id=about.source_id, chunk_id=about.chunk_id, subject=subject)


async def save(tx: Transaction, workspace: str, about: Target, given: Given) -> str:
    """The id of the one row that this person has for this target."""
    words = {"subject": given.subject, "signal": given.signal, "query": given.query, "comment": given.comment}
    return str(
        await tx.fetch_value(
            SAVE,
            id=new_id(),
            workspace_id=workspace,
            integration_id=about.integration_id,
            source_id=about.source_id,
            chunk_id=about.chunk_id,
            content_hash=about.content_hash,
            **words,
        )
    )


async def recount(tx: Transaction, integration_id: str, more: Sequence[str], less: Sequence[str]) -> Counts:
    """Under the lock of `lock_counts`; each call is a new version."""
    changes = {signal: more.count(signal) - less.count(signal) for signal in SIGNALS}
    row = await tx.fetch_one(RECOUNT, id=integration_id, **changes)
    return Counts(**row) if row else Counts()


async def counts(tx: Transaction, integration_id: str) -> Counts:
    row = await tx.fetch_one(COUNTS, id=integration_id)
    return Counts(**row) if row else Counts()


async def page(tx: Transaction, integration_id: str, after: tuple[datetime, str] | None, limit: int) -> Sequence[Row]:
    """Newest first; `after` is the time and the id of the last one seen."""
    place = {"at": after[0], "id": after[1]} if after else {}
    sql = PAGE.format(after=AFTER if after else "")
    return await tx.fetch_all(sql, integration_id=integration_id, limit=limit, **place)


async def integration_of(tx: Transaction, source_id: str) -> str | None:
    """Of a source about which something was said."""
    found: str | None = await tx.fetch_value(INTEGRATION_OF, source_id=source_id)
    return found


async def forget_source(tx: Transaction, source_id: str) -> list[str]:
    """The signals that went with it."""
    return [row["signal"] for row in await tx.fetch_all(FORGET_SOURCE, source_id=source_id)]


async def forget_integration(tx: Transaction, integration_id: str) -> None:
    await tx.execute(FORGET_INTEGRATION, integration_id=integration_id)
    await tx.execute(FORGET_COUNT, integration_id=integration_id)


async def moment(tx: Transaction) -> datetime:
    """The database's time: pages of one search count what was said until the first of them."""
    now: datetime = await tx.fetch_value(MOMENT)
    return now


async def scores(tx: Transaction, pks: Sequence[int], moment: datetime | None) -> dict[int, float]:
    """Between -1 and 1, of the chunks that somebody spoke of, alone or with their whole source."""
    return {row["pk"]: row["score"] for row in await tx.fetch_all(SCORES, pks=list(pks), moment=moment)}
