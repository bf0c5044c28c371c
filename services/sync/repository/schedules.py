"""The next look of each resource: claimed across workspaces, planned within one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from libs.common.database.transaction import Row, Transaction
from services.sync.domain.polling import DEAF_AFTER

LANES = 64  # as in the table
NEVER = datetime(1, 1, 1, tzinfo=UTC)
# When the first row of each lane comes due: nothing before that time does.
BEGINNING = (NEVER,) * LANES


class Lane(msgspec.Struct, frozen=True):
    number: int
    head: datetime
    due: bool


class Due(msgspec.Struct, frozen=True):
    resource_id: str
    integration_id: str
    workspace_id: str


# By the worker role. The head of a lane is the least row that this statement sees, also one that another claim holds:
# if that claim fails, the row is not passed. A row is never passed before it was due for a few seconds: whoever
# planned it may still have to commit.
LOOK = """
SELECT l.lane AS number, least(h.due_at, now() - $1::interval) AS head, h.due_at <= now() AS due
FROM unnest($2::smallint[], $3::timestamptz[]) AS l(lane, head)
CROSS JOIN LATERAL (
  SELECT p.due_at FROM poll_schedule p WHERE p.lane = l.lane AND p.due_at >= l.head ORDER BY p.due_at LIMIT 1) h
"""
GRACE = timedelta(seconds=5)


async def look(tx: Transaction, heads: Sequence[datetime]) -> list[Lane]:
    """Where each lane begins now, read from where it was known to begin: what was claimed before is not passed again,
    however many dead index entries it left."""
    rows = await (await tx.driver()).fetch(LOOK, *look_arguments(heads))
    return [Lane(row["number"], row["head"], row["due"]) for row in rows]


def look_arguments(heads: Sequence[datetime]) -> tuple[object, ...]:
    return GRACE, list(range(LANES)), list(heads)


# Whatever lies below a head all the same (by a slower transaction, a clock that was set back, a person's statement) is
# found in the table itself, which costs the same however the index looks.
PATROL = """
SELECT lane, min(due_at) AS at FROM poll_schedule
WHERE ctid >= $1::tid AND ctid < $2::tid AND due_at <= now() GROUP BY lane
"""
SIZE = "SELECT pg_relation_size('poll_schedule') / CAST(current_setting('block_size') AS bigint)"
SLICE = 64  # blocks


async def patrol(tx: Transaction, block: int) -> tuple[dict[int, datetime], int]:
    """The earliest due row of each lane within a slice of the table, and the block at which the next slice begins."""
    driver = await tx.driver()
    earliest = {row["lane"]: row["at"] for row in await driver.fetch(PATROL, *patrol_arguments(block))}
    following = block + SLICE
    return earliest, following if following < await driver.fetchval(SIZE) else 0


def patrol_arguments(block: int) -> tuple[object, ...]:
    return (block, 0), (block + SLICE, 0)


# The first rows of an index are wanted, never a bitmap of everything that is due.
BY_HEAD = "SET LOCAL enable_bitmapscan = off"
CLAIM = """
WITH due AS MATERIALIZED (
  SELECT p.ctid
  FROM unnest($3::smallint[], $4::timestamptz[]) AS l(lane, head)
  CROSS JOIN LATERAL (
    SELECT p.ctid FROM poll_schedule p
    WHERE p.lane = l.lane AND p.due_at >= l.head AND p.due_at <= now()
    ORDER BY p.due_at LIMIT $1 FOR UPDATE SKIP LOCKED) p)
UPDATE poll_schedule SET due_at = now() + $2::interval
WHERE ctid = ANY(ARRAY(SELECT ctid FROM due)) RETURNING resource_id, integration_id, workspace_id
"""


async def claim(tx: Transaction, lanes: Sequence[Lane], *, each: int, lease: timedelta) -> list[Due]:
    """At most `each` of a lane. Whoever dies with them loses nothing: they come due again after the lease."""
    await tx.execute(BY_HEAD)
    rows = await (await tx.driver()).fetch(CLAIM, *claim_arguments(lanes, each, lease))
    return [Due(*row) for row in rows]


def claim_arguments(lanes: Sequence[Lane], each: int, lease: timedelta) -> tuple[object, ...]:
    return each, lease, [lane.number for lane in lanes], [lane.head for lane in lanes]


# Of one workspace

OUTLOOKS = """
SELECT r.id AS resource_id, r.provider, now() AS now, k.status = 'active' AND NOT k.disconnected AS works,
  k.polling_enabled AS polling, k.monitor_changes AS monitored, k.polling_interval * interval '1 minute' AS asked,
  k.hook_state AS hooks, coalesce(w.looks, 1) AS looks, r.last_polled_at AS last_look,
  coalesce(w.requests, 0) > 0 AS looked_before, w.heard_at, w.untold_at, coalesce(w.requests, 0) AS cost,
  p.next_poll_at, p.next_sweep_at, k.version
FROM resource r JOIN known_integration k ON k.id = r.integration_id
  LEFT JOIN resource_watch w ON w.resource_id = r.id
  LEFT JOIN poll_schedule p ON p.integration_id = r.integration_id AND p.resource_id = r.id
WHERE r.integration_id = :id AND r.selected AND (CAST(:only AS text[]) IS NULL OR r.id = ANY(CAST(:only AS text[])))
ORDER BY r.id
"""


async def outlooks(tx: Transaction, integration_id: str, only: Sequence[str] | None) -> Sequence[Row]:
    return await tx.fetch_all(OUTLOOKS, id=integration_id, only=None if only is None else list(only))


async def demand(tx: Transaction, integration_id: str) -> tuple[int, int]:
    """How many resources share the grant, and the requests that their runs of the last hour took."""
    found = await tx.fetch_one(
        "SELECT (SELECT count(*) FROM resource WHERE integration_id = :id AND selected) AS resources,"
        " (SELECT CAST(coalesce(sum(rr.requests), 0) AS bigint) FROM run r JOIN run_resource rr ON rr.run_id = r.id"
        " WHERE r.integration_id = :id AND r.requested_at > now() - interval '1 hour') AS spent",
        id=integration_id,
    )
    return (found["resources"], found["spent"]) if found else (0, 0)


async def result_of(tx: Transaction, run_id: str, resource_id: str) -> tuple[int, int] | None:
    """(changes, requests) of one look, whoever made its pages."""
    row = await tx.fetch_one(
        "SELECT created + updated + deleted AS changes, requests FROM run_resource"
        " WHERE run_id = :run AND resource_id = :resource",
        run=run_id,
        resource=resource_id,
    )
    return None if row is None else (row["changes"], row["requests"])


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is the integration's: what was planned by older settings loses."""

    resource_id: str
    provider: str
    version: int
    next_poll_at: datetime | None
    next_sweep_at: datetime | None
    every: timedelta | None
    reason: str
    looks: int
    requests: int
    untold_at: datetime | None
    fresh_as_of: datetime | None
    swept_as_of: datetime | None
    promised: timedelta | None


SCHEDULE = """
INSERT INTO poll_schedule AS p (resource_id, integration_id, workspace_id, version, due_at, next_poll_at, next_sweep_at,
  every, reason)
VALUES (:resource_id, :integration, :workspace, :version,
  least(CAST(:next_poll_at AS timestamptz), CAST(:next_sweep_at AS timestamptz)), :next_poll_at, :next_sweep_at,
  :every, :reason)
ON CONFLICT (integration_id, resource_id) DO UPDATE SET version = excluded.version, due_at = excluded.due_at,
  next_poll_at = excluded.next_poll_at, next_sweep_at = excluded.next_sweep_at, every = excluded.every,
  reason = excluded.reason
WHERE p.version <= excluded.version
"""
WATCH = """
INSERT INTO resource_watch (resource_id, integration_id, workspace_id, provider, looks, requests, untold_at,
  fresh_as_of, swept_as_of, promised)
VALUES (:resource_id, :integration, :workspace, :provider, :looks, :requests, :untold_at, :fresh_as_of, :swept_as_of,
  :promised)
ON CONFLICT (resource_id) DO UPDATE SET looks = excluded.looks, requests = excluded.requests,
  untold_at = excluded.untold_at, fresh_as_of = excluded.fresh_as_of, swept_as_of = excluded.swept_as_of,
  promised = excluded.promised
"""


async def save(tx: Transaction, integration_id: str, planned: Sequence[Planned]) -> None:
    rows = [
        {**msgspec.structs.asdict(one), "integration": integration_id, "workspace": tx.workspace} for one in planned
    ]
    await tx.execute_many(SCHEDULE, rows)  # first, as where a resource is forgotten
    await tx.execute_many(WATCH, rows)


async def due_of(tx: Transaction, integration_id: str) -> tuple[list[str], list[str]]:
    """Resources to poll and to sweep now. Those that would come within a tenth of their interval are taken along, so
    that one run tells of them all."""
    rows = await tx.fetch_all(
        "SELECT resource_id, coalesce(next_sweep_at <= now(), false) AS sweep FROM poll_schedule"
        " WHERE integration_id = :id AND (next_poll_at <= now() + coalesce(every, '0') / 10 OR next_sweep_at <= now())"
        " AND EXISTS (SELECT FROM resource r WHERE r.id = resource_id AND r.selected) ORDER BY resource_id",
        id=integration_id,
    )
    polls = [row["resource_id"] for row in rows if not row["sweep"]]
    return polls, [row["resource_id"] for row in rows if row["sweep"]]


async def note_heard(tx: Transaction, resource_id: str) -> None:
    """A delivery told of it: its hooks are not deaf."""
    await tx.execute("UPDATE resource_watch SET heard_at = now() WHERE resource_id = :id", id=resource_id)


async def count_watched(tx: Transaction) -> Sequence[Row]:
    """Of each provider, by the worker role. What was never whole is measured from when it was selected."""
    return await tx.fetch_all(
        "SELECT provider, count(*) AS resources,"
        " count(*) FILTER (WHERE now() - coalesce(fresh_as_of, since) > promised) AS late,"
        " count(*) FILTER (WHERE untold_at < now() - CAST(:deaf AS interval)"
        " AND (heard_at IS NULL OR heard_at < untold_at)) AS deaf FROM resource_watch GROUP BY provider",
        deaf=DEAF_AFTER,
    )


async def forget_unselected(tx: Transaction, integration_id: str) -> None:
    """A plan that was made while its resource was deselected."""
    await tx.execute(
        "DELETE FROM poll_schedule p WHERE integration_id = :id"
        " AND NOT EXISTS (SELECT FROM resource r WHERE r.id = p.resource_id AND r.selected)",
        id=integration_id,
    )
