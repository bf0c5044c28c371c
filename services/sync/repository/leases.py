"""Claims on the hot tables: owner, epoch and time are the database's, and every write of an owner names its epoch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.events.source import Cause
from libs.common.telemetry.tracing import current_traceparent

NEW_LEASE = """
owner = :owner, epoch = nextval('lease_epoch'), lease_until = clock_timestamp() + CAST(:lease AS interval)
"""
NO_LEASE = "owner = NULL, epoch = nextval('lease_epoch'), lease_until = '-infinity'"
KEYS = {"work": ("resource_id",), "dirty_object": ("resource_id", "key"), "discovery": ("integration_id",)}


def in_order(table: str, changes: str, where: str) -> str:
    """An update of many rows that locks them in the order of their keys, like everybody, so that no two meet in a
    ring. All of a transaction's rows of `work` come before any of `dirty_object`."""
    keys = ", ".join(KEYS[table])
    same = " AND ".join(f"t.{key} = ours.{key}" for key in KEYS[table])
    return f"""
WITH ours AS MATERIALIZED (SELECT {keys} FROM {table} WHERE {where} ORDER BY {keys} FOR UPDATE)
UPDATE {table} t SET {changes} FROM ours WHERE {same}
"""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One resource to work on. `streams` None means all; `ticket` names the request, so that a next owner can tell
    which streams are done. `since` is the database's time of the claim."""

    resource_id: str
    workspace_id: str
    integration_id: str
    kind: str
    cause: Cause
    ticket: str
    run_id: str | None
    streams: tuple[str, ...] | None
    attempts: int
    epoch: int
    since: datetime
    traceparent: str | None = None


CLAIMED = """
w.resource_id, w.workspace_id, w.integration_id, w.kind, w.cause, w.ticket, w.run_id, w.streams, w.attempts, w.epoch,
clock_timestamp() AS since, w.traceparent
"""
CLAIM_WORK = f"""
WITH due AS MATERIALIZED (
  SELECT resource_id FROM work WHERE NOT paused AND run_at <= now() AND lease_until <= now()
  ORDER BY priority, run_at LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE work w SET {NEW_LEASE}, parked_until = NULL FROM due WHERE w.resource_id = due.resource_id
RETURNING {CLAIMED}
"""


async def claim_work(tx: Transaction, *, owner: str, lease: timedelta) -> Claim | None:
    row = await tx.fetch_one(CLAIM_WORK, owner=owner, lease=lease)
    return msgspec.convert(dict(row), Claim) if row else None


BEATS = {
    "work": "UPDATE work SET lease_until = clock_timestamp() + CAST(:lease AS interval)"
    " WHERE resource_id = :id AND epoch = :epoch",
    "dirty_object": in_order(
        "dirty_object",
        "lease_until = clock_timestamp() + CAST(:lease AS interval)",
        "resource_id = :id AND epoch = :epoch",
    ),
    "discovery": "UPDATE discovery SET lease_until = clock_timestamp() + CAST(:lease AS interval)"
    " WHERE integration_id = :id AND epoch = :epoch",
}


async def beat(tx: Transaction, table: str, row_id: str, *, epoch: int, lease: timedelta) -> bool:
    """False when the lease is another's now."""
    return await tx.execute(BEATS[table], id=row_id, epoch=epoch, lease=lease) > 0


async def holds_work(tx: Transaction, claim: Claim) -> bool:
    """Locks the row: until this transaction ends nobody can take the work over."""
    return await attempts_of(tx, claim) is not None


HOLD_PAGE = """
WITH told AS MATERIALIZED (
  SELECT count(*) FROM (SELECT FROM run WHERE id = :run FOR KEY SHARE) r),
held AS MATERIALIZED (
  SELECT w.resource_id FROM told, work w WHERE w.resource_id = :id AND w.epoch = :epoch FOR UPDATE OF w)
SELECT CASE WHEN r.selected THEN now() END FROM held, resource r WHERE r.id = held.resource_id
FOR NO KEY UPDATE OF r
"""


async def hold_page(tx: Transaction, claim: Claim) -> datetime | None:
    """Run, work, resource, in this order and in one statement; None when the work is another's or unwanted by now.

    Else when this transaction began, by the database: what another lane writes later is newer than what we read.

    Pages of one run share its row, and whoever asks for more of it or ends it waits for them: without that they met in
    a ring, the one with the work and the other with the report.
    """
    found: datetime | None = await tx.fetch_value(HOLD_PAGE, run=claim.run_id, id=claim.resource_id, epoch=claim.epoch)
    return found


async def attempts_of(tx: Transaction, claim: Claim) -> int | None:
    """Failures in a row since the last committed page; None when the work is another's. Locks the row."""
    sql = "SELECT attempts FROM work WHERE resource_id = :id AND epoch = :epoch FOR UPDATE"
    found: int | None = await tx.fetch_value(sql, id=claim.resource_id, epoch=claim.epoch)
    return found


async def note_progress(tx: Transaction, claim: Claim) -> None:
    """A committed page ends a row of failures: a long backfill may meet more of them than one page is given."""
    if claim.attempts:
        sql = "UPDATE work SET attempts = 0 WHERE resource_id = :id AND epoch = :epoch"
        await tx.execute(sql, id=claim.resource_id, epoch=claim.epoch)


def _widest(kind: str) -> str:
    """Asked for together, the widest look is done: it holds the others."""
    both = f"({kind}, excluded.kind)"
    return f"CASE WHEN 'sweep' IN {both} THEN 'sweep' WHEN 'backfill' IN {both} THEN 'backfill' ELSE 'poll' END"


ENQUEUE = f"""
INSERT INTO work (resource_id, workspace_id, integration_id, kind, cause, ticket, run_id, streams, priority, run_at,
  traceparent)
VALUES (:resource, :workspace, :integration, :kind, :cause, :ticket, :run, :streams, :priority, now(), :traceparent)
ON CONFLICT (resource_id) DO UPDATE SET traceparent = excluded.traceparent,
  priority = least(work.priority, excluded.priority),
  again_streams = CASE WHEN work.lease_until > now() THEN
    CASE WHEN excluded.streams IS NULL OR '*' = ANY(work.again_streams) THEN '{{*}}'
         ELSE coalesce(work.again_streams, '{{}}') || excluded.streams END
    ELSE work.again_streams END,
  again_cause = CASE WHEN work.lease_until > now() THEN excluded.cause ELSE work.again_cause END,
  again_kind = CASE WHEN work.lease_until > now() THEN {_widest("work.again_kind")}
    ELSE work.again_kind END,
  again_run_id = CASE WHEN work.lease_until > now() THEN coalesce(excluded.run_id, work.again_run_id)
    ELSE work.again_run_id END,
  run_id = CASE WHEN work.lease_until > now() THEN work.run_id ELSE coalesce(excluded.run_id, work.run_id) END,
  ticket = CASE WHEN work.lease_until > now() THEN work.ticket ELSE excluded.ticket END,
  kind = CASE WHEN work.lease_until > now() THEN work.kind ELSE {_widest("work.kind")} END,
  cause = CASE WHEN work.lease_until > now() THEN work.cause ELSE excluded.cause END,
  streams = CASE WHEN work.lease_until > now() THEN work.streams
                 WHEN work.streams IS NULL OR excluded.streams IS NULL THEN NULL
                 ELSE work.streams || excluded.streams END,
  run_at = CASE WHEN work.parked_until IS NULL AND work.attempts = 0 THEN least(work.run_at, excluded.run_at)
                ELSE work.run_at END
"""


Kind = Literal["poll", "backfill", "sweep"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Work asked for on some resources of one integration. Asked again while owned, it runs once more afterwards.

    Of several kinds asked for together the widest is done: sweep, backfill, poll.
    """

    integration_id: str
    kind: Kind
    cause: Cause
    ticket: str
    run_id: str | None = None
    streams: tuple[str, ...] | None = None


async def enqueue(tx: Transaction, resource_ids: Sequence[str], wanted: Wanted, *, first: bool = False) -> None:
    """A workspace's n-th waiting resource comes after the n-1-th of every other one: nobody waits for a big neighbour.

    What a person asked for is placed before all polls of the same workspace, and before a poll of the same rank
    elsewhere. `first` puts it before all of them (hints).
    """
    manual = wanted.cause == "manual"
    waiting = 0 if first else await _waiting(tx, manual_alone=manual)
    rows = [
        {
            "resource": resource, "workspace": tx.workspace, "integration": wanted.integration_id, "kind": wanted.kind,
            "cause": wanted.cause, "ticket": wanted.ticket, "run": wanted.run_id,
            "streams": None if wanted.streams is None else list(wanted.streams),
            "priority": 0 if first else 2 * (waiting + at) + (1 if manual else 2), "traceparent": current_traceparent(),
        }
        for at, resource in enumerate(resource_ids)
    ]  # fmt: skip
    await tx.execute_many(ENQUEUE, rows)


async def _waiting(tx: Transaction, *, manual_alone: bool) -> int:
    sql = "SELECT count(*) FROM work WHERE workspace_id = :w AND (cause = 'manual' OR NOT :manual)"
    return int(await tx.fetch_value(sql, w=tx.workspace, manual=manual_alone))


LOOK_AGAIN = f"""
UPDATE work SET kind = coalesce(again_kind, 'poll'), cause = coalesce(again_cause, cause), ticket = :ticket,
  run_id = again_run_id,
  streams = CASE WHEN '*' = ANY(again_streams) THEN NULL ELSE again_streams END,
  again_streams = NULL, again_cause = NULL, again_run_id = NULL, again_kind = NULL, attempts = 0, run_at = now(),
  {NO_LEASE}
"""
AGAIN = (
    LOOK_AGAIN
    + "WHERE resource_id = :id AND epoch = :epoch AND again_streams IS NOT NULL RETURNING coalesce(run_id, '')"
)


async def finish_work(tx: Transaction, claim: Claim, *, next_ticket: str) -> str | None:
    """Done. Asked for again meanwhile, it stays in the queue, and the answer is the run that asked ('' for none)."""
    again: str | None = await tx.fetch_value(AGAIN, id=claim.resource_id, epoch=claim.epoch, ticket=next_ticket)
    if again is None:
        sql = "DELETE FROM work WHERE resource_id = :id AND epoch = :epoch"
        await tx.execute(sql, id=claim.resource_id, epoch=claim.epoch)
    return again


async def postpone_work(tx: Transaction, claim: Claim, *, after: timedelta, count: bool) -> bool:
    """Back into the queue; `count` says that this was a failed attempt. False when the lease is another's."""
    sql = f"""
        UPDATE work SET run_at = now() + CAST(:after AS interval), attempts = attempts + CAST(:count AS integer),
          {NO_LEASE} WHERE resource_id = :id AND epoch = :epoch"""
    return await tx.execute(sql, id=claim.resource_id, epoch=claim.epoch, after=after, count=int(count)) > 0


# A tenth of the wait later, each at a moment of its own: a thousand that wait for one reset do not come as one.
SPREAD_OUT = (
    "greatest(run_at, CAST(:until AS timestamptz) + random() *"
    " least(greatest((CAST(:until AS timestamptz) - now()) / 10, interval '1 second'), interval '30 seconds'))"
)


async def park_integration(tx: Transaction, integration_id: str, until: datetime, *, epoch: int) -> None:
    """The budget is the grant's: everything waiting on it waits, and so does the work that hit the limit (`epoch`)."""
    where = "integration_id = :id AND (epoch = :epoch OR lease_until <= now())"
    for table, parked in (("work", "parked_until = :until,"), ("dirty_object", "")):
        sql = in_order(table, f"run_at = {SPREAD_OUT}, {parked} {NO_LEASE}", where)
        await tx.execute(sql, id=integration_id, until=until, epoch=epoch)


async def pause(tx: Transaction, integration_id: str, *, paused: bool) -> None:
    """Pausing moves every epoch on: an owner in the middle of a page writes nothing more."""
    for table in ("work", "dirty_object", "discovery"):
        changes = f"paused = :paused, run_at = {_resumed_at(table)}, {NO_LEASE}"
        sql = in_order(table, changes, "integration_id = :id AND paused <> :paused")
        await tx.execute(sql, id=integration_id, paused=paused)


def _resumed_at(table: str) -> str:
    """What waits for a reset goes on waiting for it."""
    kept = ":paused OR parked_until > now()" if table == "work" else ":paused"
    return f"CASE WHEN {kept} THEN run_at ELSE now() END"


async def lock_all(tx: Transaction, integration_id: str) -> None:
    """For whoever writes resources of an integration together with their work."""
    await tx.execute("SELECT FROM work WHERE integration_id = :id ORDER BY resource_id FOR UPDATE", id=integration_id)


async def take_away(tx: Transaction, integration_id: str, *, resource_id: str | None = None) -> None:
    """Owners of this integration's resources, or of one, lose them; the work itself stays and is claimed anew."""
    where = "integration_id = :id AND (CAST(:resource AS text) IS NULL OR resource_id = :resource)"
    await tx.execute(in_order("work", NO_LEASE, where), id=integration_id, resource=resource_id)


async def drop_run(tx: Transaction, run_id: str, *, integration_id: str, ticket: str) -> None:
    """Its work goes; a look that someone else asked for meanwhile stays, and follows at once."""
    whose = "integration_id = :integration AND run_id = :run"
    of = {"integration": integration_id, "run": run_id}
    await tx.execute(
        f"{LOOK_AGAIN} WHERE {whose} AND again_streams IS NOT NULL AND again_run_id IS DISTINCT FROM :run",
        **of,
        ticket=ticket,
    )
    await tx.execute(f"DELETE FROM work WHERE {whose}", **of)
    sql = "UPDATE work SET again_run_id = NULL WHERE integration_id = :integration AND again_run_id = :run"
    await tx.execute(sql, **of)


async def idle(tx: Transaction, resource_ids: Sequence[str]) -> list[str]:
    """Those that nobody has asked to look at."""
    rows = await tx.fetch_all("SELECT resource_id FROM work WHERE resource_id = ANY(:ids)", ids=list(resource_ids))
    busy = {row["resource_id"] for row in rows}
    return [one for one in resource_ids if one not in busy]


async def forget_integration(tx: Transaction, integration_id: str) -> None:
    for table in ("work", "dirty_object", "discovery", "poll_schedule", "resource_watch"):
        await tx.execute(f"DELETE FROM {table} WHERE integration_id = :id", id=integration_id)


async def forget_resource(tx: Transaction, resource_id: str) -> None:
    """In the order of every writer: work, the resource itself, its keys, its schedule."""
    await tx.execute("DELETE FROM work WHERE resource_id = :id", id=resource_id)
    await tx.execute("SELECT FROM resource WHERE id = :id FOR NO KEY UPDATE", id=resource_id)
    await tx.execute("DELETE FROM dirty_object WHERE resource_id = :id", id=resource_id)
    await tx.execute(
        "DELETE FROM poll_schedule p USING resource r WHERE r.id = :id AND p.integration_id = r.integration_id"
        " AND p.resource_id = r.id",
        id=resource_id,
    )
    await tx.execute("DELETE FROM resource_watch WHERE resource_id = :id", id=resource_id)


async def forget_work(tx: Transaction, claim: Claim) -> None:
    """Also what was asked for meanwhile: it would fail the same way."""
    sql = "DELETE FROM work WHERE resource_id = :id AND epoch = :epoch"
    await tx.execute(sql, id=claim.resource_id, epoch=claim.epoch)


async def run_of(tx: Transaction, resource_id: str) -> str | None:
    """Without a lock: the run is locked before its work."""
    found: str | None = await tx.fetch_value("SELECT run_id FROM work WHERE resource_id = :id", id=resource_id)
    return found
