"""Whole listings under way and those that were: what they saw, what they proved missing, what they deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.events.source import Cause, SourceType
from libs.common.provider.sync import Certificate


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A listing under way. Rows of the copy written after `since` are newer than what it shows."""

    id: str
    resource_id: str
    stream: str
    listing: str
    since: datetime


class Missing(msgspec.Struct, frozen=True):
    id: str
    key: str
    type: SourceType


LISTING = "id, resource_id, stream, listing, since"


async def under_way(tx: Transaction, resource_id: str, stream: str) -> Listing | None:
    row = await tx.fetch_one(
        f"SELECT {LISTING} FROM sweep WHERE resource_id = :id AND stream = :stream AND state = 'running'",
        id=resource_id,
        stream=stream,
    )
    return msgspec.convert(dict(row), Listing) if row else None


async def start(
    tx: Transaction,
    *,
    sweep_id: str,
    integration_id: str,
    resource_id: str,
    stream: str,
    listing: str,
    cause: Cause,
    since: datetime,
) -> Listing:
    """An unfinished one of this stream ends as interrupted: it certifies nothing."""
    await tx.execute(
        "UPDATE sweep SET state = 'interrupted', finished_at = now()"
        " WHERE resource_id = :id AND stream = :stream AND state = 'running'",
        id=resource_id,
        stream=stream,
    )
    await tx.execute(
        "INSERT INTO sweep (id, workspace_id, integration_id, resource_id, stream, listing, cause, since)"
        " VALUES (:id, :workspace, :integration, :resource, :stream, :listing, :cause, :since)",
        id=sweep_id,
        workspace=tx.workspace,
        integration=integration_id,
        resource=resource_id,
        stream=stream,
        listing=listing,
        cause=cause,
        since=since,
    )
    return Listing(id=sweep_id, resource_id=resource_id, stream=stream, listing=listing, since=since)


async def add(tx: Transaction, sweep_id: str, *, pages: int, items: int, errors: int, deleted: int) -> None:
    await tx.execute(
        "UPDATE sweep SET pages = pages + :pages, items = items + :items, errors = errors + :errors,"
        " deleted = deleted + :deleted WHERE id = :id",
        id=sweep_id,
        pages=pages,
        items=items,
        errors=errors,
        deleted=deleted,
    )


async def note_deleted(tx: Transaction, sweep_id: str, *, missing: int, deleted: int) -> None:
    """A part of what was missing, while the listing is under way."""
    sql = "UPDATE sweep SET missing = missing + :missing, deleted = deleted + :deleted WHERE id = :id"
    await tx.execute(sql, id=sweep_id, missing=missing, deleted=deleted)


async def deleted_before(tx: Transaction, sweep_id: str) -> int:
    """What was missing and went while the listing was under way, by any owner."""
    return int(await tx.fetch_value("SELECT missing FROM sweep WHERE id = :id", id=sweep_id))


async def progress(tx: Transaction, sweep_id: str) -> tuple[int, int]:
    """Pages that were committed, and items of them that failed."""
    row = await tx.fetch_one("SELECT pages, errors FROM sweep WHERE id = :id", id=sweep_id)
    return (row["pages"], row["errors"]) if row else (0, 0)


async def finish(
    tx: Transaction, sweep_id: str, certificate: Certificate, *, state: str, missing: int, of: int, deleted: int
) -> None:
    """`missing` and `deleted` come on top of what was noted before; `of` is the whole."""
    await tx.execute(
        "UPDATE sweep SET state = :state, scopes = :scopes, errors = greatest(errors, :errors), chain_closed = :closed,"
        " missing = missing + :missing, of = :of, deleted = deleted + :deleted, finished_at = now() WHERE id = :id",
        id=sweep_id,
        state=state,
        scopes=[*certificate.scopes, *certificate.part_scopes],
        errors=certificate.errors,
        closed=certificate.chain_closed,
        missing=missing,
        of=of,
        deleted=deleted,
    )


# What a listing saw. A key is a source's, or for parts both keys, on two lines.


async def forget_seen(tx: Transaction, resource_id: str, stream: str) -> None:
    sql = "DELETE FROM listing_seen WHERE resource_id = :id AND stream = :stream"
    await tx.execute(sql, id=resource_id, stream=stream)


async def note_seen(tx: Transaction, listing: Listing, keys: Sequence[str]) -> None:
    if keys:
        await (await tx.driver()).execute(
            "INSERT INTO listing_seen (resource_id, stream, key, workspace_id)"
            " SELECT $1, $2, u.key, $3 FROM unnest($4::text[]) AS u(key) ON CONFLICT DO NOTHING",
            listing.resource_id,
            listing.stream,
            tx.workspace,
            list(keys),
        )


# OFFSET 0 keeps this a look-up by the whole key. What is filled within a minute has no statistics, and as a join it is
# then read once for each source: 12,000 of them took 6 s, longer than a lease waits for its row.
UNSEEN = """
SELECT s.id, s.external_key, s.type FROM source s
WHERE s.resource_id = $1 AND NOT s.tombstone AND s.seen_at <= $4
  AND EXISTS (SELECT FROM unnest($3::text[]) AS p(prefix) WHERE starts_with(s.external_key, p.prefix))
  AND NOT EXISTS (SELECT FROM listing_seen l
    WHERE l.resource_id = $1 AND l.stream = $2 AND l.key = s.external_key OFFSET 0)
  AND s.external_key <> ALL ($5::text[])
"""


async def unseen(
    tx: Transaction, listing: Listing, scopes: Sequence[str], also_seen: Sequence[str] = ()
) -> list[Missing]:
    """Live sources of the certified scopes that the listing did not meet and that no other lane wrote meanwhile."""
    rows = await (await tx.driver()).fetch(
        UNSEEN, listing.resource_id, listing.stream, list(scopes), listing.since, list(also_seen)
    )
    return [Missing(row[0], row[1], row[2]) for row in rows]


async def still_unseen(
    tx: Transaction, listing: Listing, scopes: Sequence[str], among: Sequence[Missing]
) -> list[Missing]:
    """Of those that were missing a moment ago."""
    rows = await (await tx.driver()).fetch(
        f"{UNSEEN} AND s.id = ANY ($6::text[])",
        listing.resource_id, listing.stream, list(scopes), listing.since, [], [one.id for one in among],
    )  # fmt: skip
    return [Missing(row[0], row[1], row[2]) for row in rows]


async def live(tx: Transaction, resource_id: str, scopes: Sequence[str]) -> int:
    found: int = await (await tx.driver()).fetchval(
        "SELECT count(*) FROM source WHERE resource_id = $1 AND NOT tombstone"
        " AND EXISTS (SELECT FROM unnest($2::text[]) AS p(prefix) WHERE starts_with(external_key, p.prefix))",
        resource_id,
        list(scopes),
    )
    return found


async def parents_of_unseen_parts(tx: Transaction, listing: Listing, part_scopes: Sequence[str]) -> list[str]:
    """Live sources that hold parts of the certified scopes which the listing did not meet. Those that are held wait."""
    rows = await (await tx.driver()).fetch(
        "SELECT DISTINCT s.external_key FROM source s JOIN source_part p"
        " ON p.resource_id = s.resource_id AND p.source_key = s.external_key"
        " WHERE s.resource_id = $1 AND NOT s.tombstone"
        " AND EXISTS (SELECT FROM unnest($3::text[]) AS scope(prefix) WHERE starts_with(p.part_key, scope.prefix))"
        " AND NOT EXISTS (SELECT FROM listing_seen l WHERE l.resource_id = $1 AND l.stream = $2"
        " AND l.key = p.source_key || E'\\n' || p.part_key OFFSET 0)"
        " AND NOT EXISTS (SELECT FROM held_source h WHERE h.resource_id = $1 AND h.key = s.external_key) ORDER BY 1",
        listing.resource_id,
        listing.stream,
        list(part_scopes),
    )
    return [row[0] for row in rows]


# History


async def history(tx: Transaction, integration_id: str, *, before: str | None, limit: int) -> Sequence[Row]:
    """Newest first."""
    return await tx.fetch_all(
        "SELECT s.*, r.name AS resource_name,"
        " (SELECT h.id FROM held_deletion h WHERE h.resource_id = s.resource_id AND h.sweep_id = s.id"
        " LIMIT 1) AS held_id,"
        " EXISTS (SELECT FROM buried_source b WHERE b.sweep_id = s.id AND b.expires_at > now()) AS restorable"
        " FROM sweep s LEFT JOIN resource r ON r.id = s.resource_id"
        " WHERE s.integration_id = :id AND (CAST(:before AS text) IS NULL OR s.id < :before)"
        " ORDER BY s.id DESC LIMIT :limit",
        id=integration_id,
        before=before,
        limit=limit,
    )


async def one(tx: Transaction, sweep_id: str, *, lock: bool = False) -> Row | None:
    also = " FOR UPDATE" if lock else ""
    return await tx.fetch_one(f"SELECT * FROM sweep WHERE id = :id{also}", id=sweep_id)


async def note_restored(tx: Transaction, sweep_id: str, count: int) -> None:
    await tx.execute("UPDATE sweep SET restored = restored + :count WHERE id = :id", id=sweep_id, count=count)


async def forget_old(tx: Transaction, *, days: int) -> None:
    """Of the whole workspace, without those that a hold still names or that can be restored: both read them."""
    await tx.execute(
        "DELETE FROM sweep s WHERE s.workspace_id = :workspace AND s.state <> 'running'"
        " AND s.finished_at < now() - CAST(:days AS integer) * interval '1 day'"
        " AND NOT EXISTS (SELECT FROM held_deletion h WHERE h.resource_id = s.resource_id AND h.sweep_id = s.id)"
        " AND NOT EXISTS (SELECT FROM buried_source b WHERE b.sweep_id = s.id)",
        workspace=tx.workspace,
        days=days,
    )
