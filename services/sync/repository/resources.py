"""Resources and their streams: what is selected, where each stream resumes, what the last listing saw."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.errors import NotFound
from libs.common.provider.sync import Cursor, Resource
from services.sync.domain.content import storable, storable_json

EPOCH_MS = "CAST(extract(epoch from clock_timestamp()) * 1000 AS bigint)"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    workspace_id: str
    integration_id: str
    provider: str
    external_id: str
    kind: str
    name: str
    url: str
    facts: dict[str, Any]
    selected: bool
    version: int
    state: str
    error_count: int
    since: datetime | None
    since_own: bool

    def as_resource(self) -> Resource:
        return Resource(kind=self.kind, external_id=self.external_id, name=self.name, url=self.url, facts=self.facts)

    def takes(self, updated_at: datetime | None) -> bool:
        """What is older than the window is seen by a full listing, so that it is not missed, and not taken."""
        return self.since is None or updated_at is None or updated_at >= self.since


# What sweeps and failing items left behind: it ends with the selection, and so does what could be restored.
OF_A_LOOK = ("quarantined_item", "captured_page", "buried_source", "held_source", "held_deletion", "sweep")
COLUMNS = (
    "id, workspace_id, integration_id, provider, external_id, kind, name, url, facts, selected, version, state,"
    " error_count, since, since_own"
)

SELECT = f"""
INSERT INTO resource (id, workspace_id, integration_id, provider, external_id, kind, name, url, facts, version, since)
VALUES (:id, :workspace, :integration, :provider, :external, :kind, :name, :url, CAST(:facts AS jsonb), {EPOCH_MS},
  :since)
ON CONFLICT (workspace_id, integration_id, external_id) DO UPDATE SET selected = true, kind = excluded.kind,
  name = excluded.name, url = excluded.url, facts = excluded.facts, state = 'idle', error = NULL, error_code = NULL,
  error_count = 0, version = greatest(resource.version + 1, excluded.version), since = excluded.since,
  since_own = false
WHERE NOT resource.selected
RETURNING {COLUMNS}
"""


async def select(
    tx: Transaction, *, new_id: str, integration_id: str, provider: str, resource: Resource, since: datetime | None
) -> Stored | None:
    """With the integration's window. None when it is selected already."""
    row = await tx.fetch_one(
        SELECT,
        id=new_id,
        workspace=tx.workspace,
        integration=integration_id,
        provider=provider,
        external=resource.external_id,
        kind=resource.kind,
        name=storable(resource.name),
        url=storable(resource.url),
        facts=storable_json(resource.facts),
        since=since,
    )
    return _stored(row) if row else None


async def set_window(tx: Transaction, resource_id: str, *, since: datetime | None, own: bool) -> None:
    sql = "UPDATE resource SET since = :since, since_own = :own WHERE id = :id"
    await tx.execute(sql, id=resource_id, since=since, own=own)


async def deselect(tx: Transaction, resource_id: str) -> Stored | None:
    """None when it was not selected. Its cursors go: selected again, it starts from the beginning."""
    row = await tx.fetch_one(
        f"UPDATE resource SET selected = false, state = 'idle', error = NULL, error_code = NULL, error_count = 0,"
        f" version = greatest(version + 1, {EPOCH_MS}) WHERE id = :id AND selected RETURNING {COLUMNS}",
        id=resource_id,
    )
    if row is None:
        return None
    for table in ("resource_stream", "listing_seen", "validator", *OF_A_LOOK):
        await tx.execute(f"DELETE FROM {table} WHERE resource_id = :id", id=resource_id)
    return _stored(row)


def _stored(row: Row) -> Stored:
    return msgspec.convert(dict(row), Stored)


async def find(tx: Transaction, resource_id: str) -> Stored | None:
    row = await tx.fetch_one(f"SELECT {COLUMNS} FROM resource WHERE id = :id", id=resource_id)
    return _stored(row) if row else None


async def get_by_external(tx: Transaction, integration_id: str, external_id: str) -> Stored:
    """Of a resource that is known to be there."""
    row = await tx.fetch_one(
        f"SELECT {COLUMNS} FROM resource WHERE integration_id = :id AND external_id = :external",
        id=integration_id,
        external=external_id,
    )
    if row is None:
        raise NotFound("no such resource in this integration")
    return _stored(row)


async def lock_selected(tx: Transaction, resource_id: str) -> bool:
    """One writer a resource at a time; False when it was deselected or erased meanwhile."""
    sql = "SELECT selected FROM resource WHERE id = :id FOR NO KEY UPDATE"
    return bool(await tx.fetch_value(sql, id=resource_id))


async def selected_ids(tx: Transaction, integration_id: str) -> list[str]:
    """Healthy ones first, in a stable order."""
    rows = await tx.fetch_all(
        "SELECT id FROM resource WHERE integration_id = :id AND selected ORDER BY error_count > 0, created_at, id",
        id=integration_id,
    )
    return [row["id"] for row in rows]


OF_INTEGRATION = """
SELECT r.id, r.external_id, r.kind, r.name, r.url, r.selected, r.state, r.error, r.error_code, r.error_count,
  r.since, r.last_polled_at, r.last_complete_at, k.parked_until, p.next_poll_at, p.next_sweep_at,
  p.reason AS poll_reason,
  CAST(extract(epoch FROM p.every) AS integer) AS poll_every_seconds, w.fresh_as_of, w.swept_as_of,
  CAST(floor(extract(epoch FROM now() - w.fresh_as_of)) AS integer) AS staleness_seconds,
  CAST(extract(epoch FROM w.promised) AS integer) AS objective_seconds,
  now() - coalesce(w.fresh_as_of, w.since) <= w.promised AS objective_met
FROM resource r LEFT JOIN poll_schedule p ON p.integration_id = r.integration_id AND p.resource_id = r.id
  LEFT JOIN resource_watch w ON w.resource_id = r.id
  LEFT JOIN work k ON k.resource_id = r.id AND k.parked_until > now()
WHERE r.integration_id = :id AND r.selected ORDER BY r.name, r.id
"""


async def of_integration(tx: Transaction, integration_id: str) -> Sequence[Row]:
    return await tx.fetch_all(OF_INTEGRATION, id=integration_id)


async def by_external(tx: Transaction, integration_id: str, external_ids: Sequence[str]) -> dict[str, str]:
    """Selected resources: external id → id."""
    rows = await tx.fetch_all(
        "SELECT external_id, id FROM resource WHERE integration_id = :id AND selected AND external_id = ANY(:ids)",
        id=integration_id,
        ids=list(external_ids),
    )
    return {row["external_id"]: row["id"] for row in rows}


async def set_state(tx: Transaction, resource_id: str, state: str) -> None:
    sql = "UPDATE resource SET state = :state WHERE id = :id AND state <> :state"
    await tx.execute(sql, id=resource_id, state=state)


async def note_failure(tx: Transaction, resource_id: str, *, code: str, detail: str, state: str, count: bool) -> int:
    """Answers the failures in a row."""
    found = await tx.fetch_value(
        "UPDATE resource SET state = :state, error_code = :code, error = :detail,"
        " error_count = error_count + CAST(:count AS integer) WHERE id = :id RETURNING error_count",
        id=resource_id,
        state=state,
        code=code,
        detail=detail,
        count=int(count),
    )
    return int(found or 0)


async def note_success(tx: Transaction, resource_id: str, *, complete: bool) -> None:
    await tx.execute(
        "UPDATE resource SET state = 'idle', error = NULL, error_code = NULL, error_count = 0, last_polled_at = now(),"
        " last_complete_at = CASE WHEN :complete"
        " AND NOT EXISTS (SELECT FROM quarantined_item q WHERE q.resource_id = :id)"
        " THEN now() ELSE last_complete_at END WHERE id = :id",
        id=resource_id,
        complete=complete,
    )


# Streams


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    cursor: Cursor | None
    listing: str | None
    started_ticket: str
    finished_ticket: str

    @property
    def under_way(self) -> bool:
        """A pass of it was begun and is not at its end."""
        return self.cursor is not None and not self.finished_ticket


async def streams(tx: Transaction, resource_id: str) -> dict[str, Stream]:
    rows = await tx.fetch_all(
        "SELECT stream, cursor, listing, started_ticket, finished_ticket FROM resource_stream WHERE resource_id = :id",
        id=resource_id,
    )
    return {row["stream"]: msgspec.convert(dict(row), Stream) for row in rows}


# A look begins with the first page after a last one, whoever pulls it and however often it is interrupted.
SAVE_CURSOR = """
INSERT INTO resource_stream (resource_id, stream, workspace_id, cursor, cursor_version, listing, started_ticket,
  finished_ticket, last_page_at, look_began_at)
VALUES (:resource, :stream, :workspace, CAST(:cursor AS jsonb), 1, :listing, :ticket,
  CASE WHEN :last THEN :ticket ELSE '' END, now(), :began)
ON CONFLICT (resource_id, stream) DO UPDATE SET cursor = excluded.cursor, listing = excluded.listing,
  cursor_version = resource_stream.cursor_version + 1, started_ticket = excluded.started_ticket,
  finished_ticket = excluded.finished_ticket, last_page_at = now(),
  look_began_at = CASE WHEN resource_stream.finished_ticket = ''
    THEN coalesce(resource_stream.look_began_at, excluded.look_began_at) ELSE excluded.look_began_at END
"""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream goes on. `began`: the database's time before this pull of it."""

    cursor: Cursor
    listing: str | None
    ticket: str
    last: bool
    began: datetime


def cursor_of(saved: Saved) -> Mapping[str, object]:
    """What SAVE_CURSOR asks for beside `resource`, `stream` and `workspace`."""
    return {**msgspec.structs.asdict(saved), "cursor": msgspec.json.encode(saved.cursor).decode()}


async def confirm_stream(tx: Transaction, resource_id: str, stream: str, *, certified: bool) -> None:
    """Its look has seen everything: the copy is as the provider was when the look began. Not while an item of it is in
    quarantine. `certified`: that holds for what was deleted too."""
    await tx.execute(
        "UPDATE resource_stream s SET confirmed_at = look_began_at,"
        " certified_at = CASE WHEN :certified THEN look_began_at ELSE certified_at END"
        " WHERE resource_id = :id AND stream = :stream AND NOT EXISTS (SELECT FROM quarantined_item q"
        " WHERE q.resource_id = s.resource_id AND q.stream = s.stream)",
        id=resource_id,
        stream=stream,
        certified=certified,
    )


async def is_complete(tx: Transaction, resource_id: str, streams: Sequence[str], ticket: str) -> bool:
    """This request's look has ended at each of the streams, and was confirmed."""
    found = await tx.fetch_value(
        "SELECT count(*) FROM resource_stream WHERE resource_id = :id AND stream = ANY(:streams)"
        " AND finished_ticket = :ticket AND confirmed_at = look_began_at",
        id=resource_id,
        streams=list(streams),
        ticket=ticket,
    )
    return int(found) == len(streams)


async def freshness(
    tx: Transaction, resource_ids: Sequence[str], streams: Sequence[str]
) -> dict[str, tuple[datetime | None, datetime | None]]:
    """As of when the copy is whole, and as of when its deletions are: None until each of the streams was confirmed."""
    rows = await tx.fetch_all(
        "SELECT resource_id, CASE WHEN count(confirmed_at) = :all THEN min(confirmed_at) END AS fresh,"
        " CASE WHEN count(certified_at) = :all THEN min(certified_at) END AS swept"
        " FROM resource_stream WHERE resource_id = ANY(:ids) AND stream = ANY(:streams) GROUP BY resource_id",
        ids=list(resource_ids),
        streams=list(streams),
        all=len(streams),
    )
    return {row["resource_id"]: (row["fresh"], row["swept"]) for row in rows}


async def restart_streams(
    tx: Transaction, integration_id: str, names: Sequence[str], *, resource_id: str | None = None
) -> None:
    """From the start, and unconditionally: a 304 would answer for what was never stored. Of one resource, or of all."""
    one = "AND (CAST(:resource AS text) IS NULL OR r.id = :resource)"
    await tx.execute(
        "UPDATE resource_stream s SET cursor = NULL, listing = NULL, started_ticket = '', finished_ticket = '',"
        " look_began_at = NULL, confirmed_at = NULL, certified_at = NULL,"
        " cursor_version = cursor_version + 1 FROM resource r"
        f" WHERE r.id = s.resource_id AND r.integration_id = :id AND s.stream = ANY(:names) {one}",
        id=integration_id,
        names=list(names),
        resource=resource_id,
    )
    sql = f"DELETE FROM validator v USING resource r WHERE r.id = v.resource_id AND r.integration_id = :id {one}"
    await tx.execute(sql, id=integration_id, resource=resource_id)


async def drop_streams(tx: Transaction, integration_id: str, names: Sequence[str]) -> None:
    for table in ("resource_stream", "listing_seen"):
        await tx.execute(
            f"DELETE FROM {table} s USING resource r WHERE r.id = s.resource_id AND r.integration_id = :id"
            " AND s.stream = ANY(:names)",
            id=integration_id,
            names=list(names),
        )


# Validators


async def validators(tx: Transaction, resource_id: str) -> dict[str, str]:
    rows = await tx.fetch_all("SELECT url_key, etag FROM validator WHERE resource_id = :id", id=resource_id)
    return {row["url_key"]: row["etag"] for row in rows}


async def save_validators(tx: Transaction, resource_id: str, learned: Mapping[str, str]) -> None:
    if learned:
        await (await tx.driver()).execute(
            "INSERT INTO validator AS v (resource_id, url_key, workspace_id, etag)"
            " SELECT $1, u.key, $2, u.etag FROM unnest($3::text[], $4::text[]) AS u(key, etag)"
            " ON CONFLICT (resource_id, url_key) DO UPDATE SET etag = excluded.etag WHERE v.etag <> excluded.etag",
            resource_id,
            tx.workspace,
            list(learned),
            list(learned.values()),
        )


async def forget_validators(tx: Transaction, resource_id: str, url_keys: Collection[str]) -> None:
    sql = "DELETE FROM validator WHERE resource_id = :id AND url_key = ANY(CAST(:keys AS text[]))"
    await tx.execute(sql, id=resource_id, keys=list(url_keys))
