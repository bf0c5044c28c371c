"""Deletions that wait for somebody's word, and the sources that they would take."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.provider.sync import Certificate
from services.sync.repository.sweeps import Listing, Missing


async def hold(
    tx: Transaction,
    listing: Listing,
    missing: Sequence[Missing],
    *,
    held_id: str,
    provider: str,
    integration_id: str,
    certificate: Certificate,
    reason: str,
    of: int,
) -> None:
    """The one before of this stream is superseded."""
    await supersede(tx, listing.resource_id, listing.stream)
    await tx.execute(
        "INSERT INTO held_deletion (id, workspace_id, integration_id, resource_id, stream, sweep_id, provider, reason,"
        " certificate, count, of) VALUES (:id, :workspace, :integration, :resource, :stream, :sweep, :provider,"
        " :reason, CAST(:certificate AS jsonb), :count, :of)",
        id=held_id,
        workspace=tx.workspace,
        integration=integration_id,
        resource=listing.resource_id,
        stream=listing.stream,
        sweep=listing.id,
        provider=provider,
        reason=reason,
        certificate=msgspec.json.encode(certificate).decode(),
        count=len(missing),
        of=of,
    )
    await (await tx.driver()).execute(
        "INSERT INTO held_source (held_id, source_id, workspace_id, resource_id, key)"
        " SELECT $1, u.id, $2, $3, u.key FROM unnest($4::text[], $5::text[]) AS u(id, key)",
        held_id,
        tx.workspace,
        listing.resource_id,
        [one.id for one in missing],
        [one.key for one in missing],
    )


async def keeps(tx: Transaction, listing: Listing, missing: Sequence[Missing]) -> bool:
    """Exactly these are held already: whoever looks at them now finds the same id."""
    rows = await tx.fetch_all(
        "SELECT s.source_id FROM held_source s JOIN held_deletion h ON h.id = s.held_id"
        " WHERE h.resource_id = :id AND h.stream = :stream AND h.state = 'held'",
        id=listing.resource_id,
        stream=listing.stream,
    )
    return {row["source_id"] for row in rows} == {one.id for one in missing}


async def supersede(tx: Transaction, resource_id: str, stream: str) -> None:
    """A later whole listing knows better."""
    await tx.execute(
        "WITH gone AS (UPDATE held_deletion SET state = 'superseded', decided_at = now()"
        " WHERE resource_id = :id AND stream = :stream AND state = 'held' RETURNING id)"
        " DELETE FROM held_source h USING gone WHERE h.held_id = gone.id",
        id=resource_id,
        stream=stream,
    )


async def take_off(tx: Transaction, resource_id: str, keys: Collection[str]) -> None:
    """Seen again: they are not to go. What nothing is left of is superseded."""
    if not keys:
        return
    await tx.execute(
        "DELETE FROM held_source s USING held_deletion h WHERE h.id = s.held_id AND h.state = 'held'"
        " AND s.resource_id = :id AND s.key = ANY(CAST(:keys AS text[]))",
        id=resource_id,
        keys=list(keys),
    )
    await tx.execute(
        "UPDATE held_deletion h SET state = 'superseded', decided_at = now() WHERE h.resource_id = :id"
        " AND h.state = 'held' AND NOT EXISTS (SELECT FROM held_source s WHERE s.held_id = h.id)",
        id=resource_id,
    )


async def waiting(tx: Transaction, resource_id: str) -> Row | None:
    """(id, count, of) of the oldest that waits, with what is left of it."""
    return await tx.fetch_one(
        "SELECT h.id, h.of, (SELECT count(*) FROM held_source s WHERE s.held_id = h.id) AS count FROM held_deletion h"
        " WHERE h.resource_id = :id AND h.state = 'held' ORDER BY h.id LIMIT 1",
        id=resource_id,
    )


COLUMNS = """
h.id, h.integration_id, h.resource_id, r.name AS resource_name, h.stream, h.sweep_id, h.provider, h.reason,
h.certificate, h.count, h.of, h.state, h.deleted, h.restored, h.created_at, h.decided_at, h.decided_by, h.restored_at,
(SELECT count(*) FROM held_source s WHERE s.held_id = h.id) AS remaining
"""


async def of_integration(tx: Transaction, integration_id: str, *, before: str | None, limit: int) -> Sequence[Row]:
    """Newest first."""
    return await tx.fetch_all(
        f"SELECT {COLUMNS} FROM held_deletion h LEFT JOIN resource r ON r.id = h.resource_id"
        " WHERE h.integration_id = :id AND (CAST(:before AS text) IS NULL OR h.id < :before)"
        " ORDER BY h.id DESC LIMIT :limit",
        id=integration_id,
        before=before,
        limit=limit,
    )


async def one(tx: Transaction, held_id: str) -> Row | None:
    return await tx.fetch_one(
        f"SELECT {COLUMNS} FROM held_deletion h LEFT JOIN resource r ON r.id = h.resource_id WHERE h.id = :id",
        id=held_id,
    )


async def resource_of(tx: Transaction, held_id: str) -> str | None:
    """Without a lock: the resource is locked before what is held of it."""
    found: str | None = await tx.fetch_value("SELECT resource_id FROM held_deletion WHERE id = :id", id=held_id)
    return found


async def preview(tx: Transaction, held_id: str, *, after: str, limit: int) -> Sequence[Row]:
    """The sources that would go, in order of id."""
    return await tx.fetch_all(
        "SELECT s.id, s.name, s.external_key, s.type, s.url, s.path, s.seen_at, s.updated_at FROM held_source h"
        " JOIN source s ON s.id = h.source_id WHERE h.held_id = :id AND h.source_id > :after"
        " ORDER BY h.source_id LIMIT :limit",
        id=held_id,
        after=after,
        limit=limit,
    )


async def to_delete(tx: Transaction, held_id: str, *, most: int) -> list[Missing]:
    """Of those still live that no lane has written since they were held."""
    rows = await tx.fetch_all(
        "SELECT s.id, s.external_key, s.type FROM held_source h JOIN source s ON s.id = h.source_id"
        " JOIN held_deletion d ON d.id = h.held_id JOIN sweep w ON w.id = d.sweep_id"
        " WHERE h.held_id = :id AND NOT s.tombstone AND s.seen_at <= w.since ORDER BY h.source_id LIMIT :most",
        id=held_id,
        most=most,
    )
    return [Missing(row["id"], row["external_key"], row["type"]) for row in rows]


async def note_deleted(tx: Transaction, held_id: str, source_ids: Sequence[str], *, count: int) -> None:
    """They wait no more."""
    sql = "DELETE FROM held_source WHERE held_id = :id AND source_id = ANY(CAST(:sources AS text[]))"
    await tx.execute(sql, id=held_id, sources=list(source_ids))
    await tx.execute("UPDATE held_deletion SET deleted = deleted + :count WHERE id = :id", id=held_id, count=count)


async def decide(tx: Transaction, held_id: str, *, state: str, by: str) -> None:
    await tx.execute(
        "UPDATE held_deletion SET state = :state, decided_at = now(), decided_by = :by WHERE id = :id",
        id=held_id,
        state=state,
        by=by,
    )
    await tx.execute("DELETE FROM held_source WHERE held_id = :id", id=held_id)


async def note_restored(tx: Transaction, held_id: str, count: int) -> None:
    sql = "UPDATE held_deletion SET restored = restored + :count, restored_at = now() WHERE id = :id"
    await tx.execute(sql, id=held_id, count=count)


async def forget_old(tx: Transaction, *, days: int) -> None:
    """Of the whole workspace: what was decided long ago and can be restored no more."""
    await tx.execute(
        "DELETE FROM held_deletion h WHERE h.workspace_id = :workspace AND h.state <> 'held'"
        " AND h.decided_at < now() - CAST(:days AS integer) * interval '1 day'"
        " AND NOT EXISTS (SELECT FROM buried_source b WHERE b.held_id = h.id)",
        workspace=tx.workspace,
        days=days,
    )


async def tell(tx: Transaction, integration_id: str, resource_id: str, *, code: str, detail: str) -> None:
    """Shown on the resource and on the integration until it is decided; it counts as no error."""
    sql = "UPDATE resource SET error_code = :code, error = :detail WHERE id = :id"
    await tx.execute(sql, id=resource_id, code=code, detail=detail)
    await tx.execute(
        "UPDATE observed_state SET last_error = :detail, last_error_code = :code"
        " WHERE integration_id = :id AND error_count = 0",
        id=integration_id,
        code=code,
        detail=detail,
    )


async def untell(tx: Transaction, integration_id: str, *, code: str) -> None:
    """Resources without an open hold say so no more; the integration follows when the last one is decided."""
    await tx.execute(
        "UPDATE resource r SET error_code = NULL, error = NULL WHERE r.integration_id = :id AND r.error_code = :code"
        " AND NOT EXISTS (SELECT FROM held_deletion h WHERE h.resource_id = r.id AND h.state = 'held')",
        id=integration_id,
        code=code,
    )
    await tx.execute(
        "UPDATE observed_state SET last_error = NULL, last_error_code = NULL"
        " WHERE integration_id = :id AND last_error_code = :code AND NOT EXISTS"
        " (SELECT FROM held_deletion h WHERE h.integration_id = :id AND h.state = 'held')",
        id=integration_id,
        code=code,
    )
