"""Runs: the durable report over the resources of one request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.events.source import Cause

ACTIVE = UNFINISHED = "('queued', 'running', 'parked')"  # of a run, of one of its resources
COUNTS = (
    "fetched", "created", "updated", "deleted", "unchanged", "quarantined", "requests", "not_modified", "bytes",
    "pages",
)  # fmt: skip


class Counts(msgspec.Struct, kw_only=True):
    """What one page added."""

    fetched: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    quarantined: int = 0
    requests: int = 0
    not_modified: int = 0
    bytes: int = 0
    pages: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in COUNTS})


# Stands for the row of a run that is not there yet: whoever holds it goes on to the work, as a holder of the row does.
TURN = "SELECT pg_advisory_xact_lock(hashtextextended('run of ' || :id, 0))"


async def open_run(tx: Transaction, *, run_id: str, integration_id: str, cause: Cause) -> tuple[str, bool]:
    """The integration's active run and whether it is this new one; two at once cannot be (a unique index says so)."""
    await tx.execute(TURN, id=integration_id)
    made = await tx.execute(
        f"INSERT INTO run (id, workspace_id, integration_id, cause) VALUES (:id, :workspace, :integration, :cause)"
        f" ON CONFLICT (integration_id) WHERE state IN {ACTIVE} DO NOTHING",
        id=run_id,
        workspace=tx.workspace,
        integration=integration_id,
        cause=cause,
    )
    if made:
        return run_id, True
    sql = f"SELECT id FROM run WHERE integration_id = :id AND state IN {ACTIVE} FOR UPDATE"
    found = await tx.fetch_value(sql, id=integration_id)
    if found is None:  # it ended between the two statements
        return await open_run(tx, run_id=run_id, integration_id=integration_id, cause=cause)
    return str(found), False


async def set_discovering(tx: Transaction, run_id: str, *, discovering: bool) -> None:
    await tx.execute("UPDATE run SET discovering = :d WHERE id = :id", id=run_id, d=discovering)


async def add_resources(tx: Transaction, run_id: str, resource_ids: Sequence[str]) -> None:
    await tx.execute_many(
        "INSERT INTO run_resource (run_id, resource_id, workspace_id) VALUES (:run, :resource, :workspace)"
        " ON CONFLICT (run_id, resource_id) DO UPDATE SET state = 'queued', finished_at = NULL,"
        " revision = run_resource.revision + 1"
        " WHERE run_resource.state IN ('succeeded', 'failed', 'cancelled')",
        [{"run": run_id, "resource": resource, "workspace": tx.workspace} for resource in resource_ids],
    )


async def lock(tx: Transaction, run_id: str) -> Row | None:
    """Runs are locked before work rows, everywhere."""
    return await tx.fetch_one(
        "SELECT id, integration_id, cause, state, discovering, error_code, error FROM run WHERE id = :id FOR UPDATE",
        id=run_id,
    )


async def note_error(tx: Transaction, run_id: str, *, code: str, detail: str) -> None:
    """Shown however the run ends, unless something more serious comes."""
    await tx.execute(
        "UPDATE run SET error_code = :code, error = :detail, revision = revision + 1 WHERE id = :id",
        id=run_id,
        code=code,
        detail=detail,
    )


async def start(tx: Transaction, run_id: str) -> bool:
    """True for the first resource that begins."""
    return bool(
        await tx.fetch_value(
            "UPDATE run SET state = 'running', parked_until = NULL, started_at = coalesce(started_at, now()),"
            " revision = revision + 1 WHERE id = :id AND state IN ('queued', 'parked')"
            " RETURNING old.started_at IS NULL",
            id=run_id,
        )
    )


STAND = f"""
UPDATE run r SET state = s.state, parked_until = s.until, revision = r.revision + 1
FROM (
  SELECT CASE WHEN bool_and(rr.state = 'parked') THEN 'parked' WHEN o.started_at IS NULL THEN 'queued' ELSE 'running'
    END AS state, CASE WHEN bool_and(rr.state = 'parked') THEN min(rr.parked_until) END AS until
  FROM run o JOIN run_resource rr ON rr.run_id = o.id
  WHERE o.id = :id AND NOT o.discovering AND rr.state IN {UNFINISHED} GROUP BY o.id
) s
WHERE r.id = :id AND r.state IN {ACTIVE} AND (r.state, r.parked_until) IS DISTINCT FROM (s.state, s.until)
"""


async def restate(tx: Transaction, run_id: str) -> None:
    """Parked when everything that is left of it is, until the first of it may go on."""
    await tx.execute(STAND, id=run_id)


async def park(tx: Transaction, run_id: str, until: datetime) -> None:
    """All of it: its resources are not known yet, because finding them waits."""
    await tx.execute(
        "UPDATE run SET state = 'parked', parked_until = :until, revision = revision + 1"
        " WHERE id = :id AND state = 'queued'",
        id=run_id,
        until=until,
    )


async def note_reason(tx: Transaction, run_id: str, resource_id: str, *, code: str, detail: str) -> None:
    """Why a resource waits; its next beginning clears it."""
    await tx.execute(
        "UPDATE run_resource SET error_code = :code, error = :detail, revision = revision + 1"
        " WHERE run_id = :run AND resource_id = :resource AND state = 'parked'",
        run=run_id,
        resource=resource_id,
        code=code,
        detail=detail,
    )


PARK_RESOURCES = f"""
UPDATE run_resource rr SET state = 'parked', parked_until = w.parked_until, revision = rr.revision + 1,
  waits = rr.waits + CAST(rr.waiting_since IS NULL AS integer), waiting_since = coalesce(rr.waiting_since, now())
FROM work w
WHERE w.resource_id = rr.resource_id AND w.run_id = rr.run_id AND rr.run_id = :id AND rr.state IN {UNFINISHED}
  AND w.lease_until <= now() AND w.parked_until > now()
"""


async def park_resources(tx: Transaction, run_id: str) -> None:
    """Those whose work waits for a reset."""
    await tx.execute(PARK_RESOURCES, id=run_id)


# A wait ends with whatever state comes next, and its seconds are kept.
WAITED = "extract(epoch FROM now() - waiting_since)"
END_OF_WAIT = f"waited = waited + coalesce({WAITED}, 0), waiting_since = NULL"


async def set_resource(
    tx: Transaction,
    run_id: str,
    resource_id: str,
    *,
    state: str,
    error_code: str | None = None,
    error: str | None = None,
    attempt: bool = False,
) -> None:
    """`attempt`: one has failed, and the next one is waited for."""
    waiting = "waits = waits + 1, waiting_since = now()," if attempt and state == "queued" else ""
    await tx.execute(
        "UPDATE run_resource SET state = :state, error_code = :code, error = :error, parked_until = NULL,"
        " attempts = attempts + CAST(:attempt AS integer), revision = revision + 1,"
        f" started_at = coalesce(started_at, now()), {waiting or END_OF_WAIT + ','}"
        " finished_at = CASE WHEN :state IN ('succeeded', 'failed', 'cancelled') THEN now() END"
        f" WHERE run_id = :run AND resource_id = :resource AND state IN {UNFINISHED}",
        run=run_id,
        resource=resource_id,
        state=state,
        code=error_code,
        error=error,
        attempt=int(attempt),
    )


ADD_PAGE = f"""
UPDATE run_resource SET {", ".join(f"{name} = {name} + :{name}" for name in COUNTS)}, seen = seen + :seen,
  stream = :stream, seen_before = CASE WHEN stream = :stream THEN seen_before ELSE seen END,
  estimate = coalesce(CASE WHEN stream = :stream THEN seen_before ELSE seen END + CAST(:estimate AS bigint),
    CASE WHEN stream = :stream THEN estimate END),
  revision = revision + 1
WHERE run_id = :run AND resource_id = :resource
"""


async def unfinished(tx: Transaction, run_id: str) -> int:
    sql = f"SELECT count(*) FROM run_resource WHERE run_id = :id AND state IN {UNFINISHED}"
    found: int = await tx.fetch_value(sql, id=run_id)
    return found


async def finish(tx: Transaction, run_id: str, *, state: str, error_code: str | None, error: str | None) -> bool:
    return await tx.execute(
        "UPDATE run SET state = :state, finished_at = now(), started_at = coalesce(started_at, now()),"
        " parked_until = NULL, error_code = :code, error = :error, discovering = false, revision = revision + 1"
        f" WHERE id = :id AND state IN {ACTIVE}",
        id=run_id,
        state=state,
        code=error_code,
        error=error,
    ) > 0  # fmt: skip


async def end_resources(
    tx: Transaction, run_id: str, *, state: str, error_code: str | None = None, error: str | None = None
) -> None:
    """Everything of the run that is not finished ends like this, and is at rest."""
    await tx.execute(
        "UPDATE resource r SET state = 'idle' FROM run_resource rr WHERE rr.run_id = :id AND rr.resource_id = r.id"
        f" AND rr.state IN {UNFINISHED} AND r.state IN ('syncing', 'parked', 'waiting')",
        id=run_id,
    )
    await tx.execute(
        "UPDATE run_resource SET state = :state, error_code = :code, error = :error, finished_at = now(),"
        f" parked_until = NULL, {END_OF_WAIT}, revision = revision + 1"
        f" WHERE run_id = :id AND state IN {UNFINISHED}",
        id=run_id,
        state=state,
        code=error_code,
        error=error,
    )


async def note_change(tx: Transaction, run_id: str) -> None:
    """Whoever follows the run looks at it again."""
    await tx.execute("UPDATE run SET revision = revision + 1 WHERE id = :id", id=run_id)


async def active_of(tx: Transaction, integration_id: str) -> str | None:
    """Locked; where there is none, nobody else opens one until this transaction ends."""
    await tx.execute(TURN, id=integration_id)
    sql = f"SELECT id FROM run WHERE integration_id = :id AND state IN {ACTIVE} FOR UPDATE"
    found = await tx.fetch_value(sql, id=integration_id)
    return None if found is None else str(found)


async def drop_discovery(tx: Transaction, run_id: str) -> None:
    await tx.execute("DELETE FROM discovery WHERE run_id = :id", id=run_id)


SUMMED = ", ".join(f"CAST(coalesce(sum(rr.{name}), 0) AS bigint) AS {name}" for name in (*COUNTS, "waits"))

REPORT = f"""
SELECT r.*, {SUMMED}, coalesce(sum(rr.waited + coalesce({WAITED}, 0)), 0) AS waited_seconds,
  CAST(r.revision + coalesce(sum(rr.revision), 0) AS bigint) AS progress,
  count(rr.resource_id) AS resources, count(*) FILTER (WHERE rr.state = 'succeeded') AS succeeded,
  count(*) FILTER (WHERE rr.state = 'failed') AS failed, count(*) FILTER (WHERE rr.state = 'parked') AS parked,
  count(*) FILTER (WHERE rr.state = 'running') AS running,
  CAST(coalesce(sum(rr.seen), 0) AS bigint) AS seen,
  CAST(coalesce(sum(greatest(rr.estimate, rr.seen)), 0) AS bigint) AS expected,
  CAST(sum(greatest(rr.estimate - rr.seen, 0)) FILTER (WHERE rr.state IN {UNFINISHED}) AS bigint) AS remaining,
  count(*) FILTER (WHERE rr.state IN {UNFINISHED} AND rr.estimate IS NULL) AS unknown,
  CAST(extract(epoch FROM now() - r.started_at) AS double precision) AS elapsed,
  r.state IN {ACTIVE} AND EXISTS (
    SELECT FROM known_integration k WHERE k.id = r.integration_id AND k.status <> 'active') AS paused
FROM run r LEFT JOIN run_resource rr ON rr.run_id = r.id
"""


async def report(tx: Transaction, run_id: str) -> Row | None:
    return await tx.fetch_one(REPORT + " WHERE r.id = :id GROUP BY r.id", id=run_id)


async def resources_of(tx: Transaction, run_id: str) -> Sequence[Row]:
    return await tx.fetch_all(
        f"SELECT rr.*, rr.waited + coalesce({WAITED}, 0) AS waited_seconds, r.name"
        " FROM run_resource rr LEFT JOIN resource r ON r.id = rr.resource_id"
        " WHERE rr.run_id = :id ORDER BY r.name, rr.resource_id",
        id=run_id,
    )


async def history(tx: Transaction, integration_id: str, *, before: str | None, limit: int) -> Sequence[Row]:
    """Newest first; ids sort by time."""
    return await tx.fetch_all(
        REPORT + " WHERE r.integration_id = :id AND (CAST(:before AS text) IS NULL OR r.id < :before)"
        " GROUP BY r.id ORDER BY r.id DESC LIMIT :limit",
        id=integration_id,
        before=before,
        limit=limit,
    )


async def forget_old(tx: Transaction, *, days: int) -> None:
    """Reports of the whole workspace that ended so long ago."""
    old = "finished_at < now() - CAST(:days AS integer) * interval '1 day'"
    await tx.execute(
        f"DELETE FROM run_resource WHERE run_id IN (SELECT id FROM run WHERE workspace_id = :workspace AND {old})",
        workspace=tx.workspace,
        days=days,
    )
    await tx.execute(f"DELETE FROM run WHERE workspace_id = :workspace AND {old}", workspace=tx.workspace, days=days)
