"""Claims due jobs by lease, beats while they run, and ends them only if the lease is still its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from libs.common.bus.pausing import pause
from libs.common.bus.policy import disposition_of, error_code, error_text
from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.errors import DependencyDown, Disposition, LeaseLost, RetryAfter
from libs.common.ids import new_id
from libs.common.jobs.later import Job
from libs.common.telemetry.logging import get_logger
from libs.common.telemetry.metrics import counter
from libs.common.telemetry.tracing import span, use_traceparent
from libs.common.testing.crashpoints import crashpoint

log = get_logger(__name__)

LEASE_SECONDS = 15.0
IDLE = 0.5
FIRST_RETRY = 1.0
LONGEST_RETRY = 3600.0
GRACE = 10.0

CLAIM = """
UPDATE job SET owner = :owner, epoch = epoch + 1, attempts = attempts + 1,
  lease_until = clock_timestamp() + make_interval(secs => :seconds)
WHERE id = (
  SELECT id FROM job
  WHERE run_at <= clock_timestamp() AND (lease_until IS NULL OR lease_until < clock_timestamp())
    AND kind = ANY(CAST(:kinds AS text[]))
  ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, workspace_id, kind, dedupe_key, payload, run_at, attempts, asked, epoch
"""
EXTEND = """
UPDATE job SET lease_until = clock_timestamp() + make_interval(secs => :seconds) WHERE id = :id AND epoch = :epoch
"""
DONE = "DELETE FROM job WHERE id = :id AND epoch = :epoch AND asked = :asked"
# Asked again while it ran: it stays, is free at once, and its time is the one that was asked.
FREE = "UPDATE job SET owner = NULL, lease_until = NULL, attempts = 0 WHERE id = :id AND epoch = :epoch"
FAILED = """
UPDATE job SET owner = NULL, lease_until = NULL, last_error = :error,
  run_at = greatest(run_at, clock_timestamp() + make_interval(secs => :seconds))
WHERE id = :id AND epoch = :epoch
"""

# Its provider is not to be asked before then: nothing failed, and the try does not count.
WAITING = """
UPDATE job SET owner = NULL, lease_until = NULL, attempts = greatest(attempts - 1, 0), last_error = :error,
  run_at = greatest(run_at, clock_timestamp() + make_interval(secs => :seconds))
WHERE id = :id AND epoch = :epoch
"""

Outcome = Literal["done", "waiting", "failed"]
JobHandler = Callable[[Mapping[str, Any], Job], Awaitable[None]]
_runs = counter("job_runs_total", "Runs of jobs by how they ended", ["kind", "outcome"])


class JobWorker:
    """Runs at most `concurrency` jobs at once. A job that fails is tried again for ever, ever more rarely."""

    name = "jobs"
    kind: Literal["workers"] = "workers"

    def __init__(
        self,
        db: Database,
        handlers: Mapping[str, JobHandler],
        *,
        concurrency: int = 4,
        lease_seconds: float = LEASE_SECONDS,
        idle: float = IDLE,
        first_retry: float = FIRST_RETRY,
    ) -> None:
        self._db = db
        self._handlers = handlers
        self._concurrency = concurrency
        self._seconds = lease_seconds
        self._idle = idle
        self._first_retry = first_retry
        self._owner = f"jobs-{new_id()}"
        self._turn = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        lanes = [asyncio.create_task(self._lane(stop), name="job lane") for _ in range(self._concurrency)]
        try:
            await stop.wait()
            await asyncio.wait(lanes, timeout=GRACE)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def _lane(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                row = await self._next(stop)
                if row is not None:
                    await self._settle(row)
            except DependencyDown as error:
                log.warning("jobs_wait", code=error.code)
                await pause(self._idle, stop)

    async def _next(self, stop: asyncio.Event) -> Row | None:
        """One lane asks at a time, so that idle lanes cost nothing; the next one asks once this has work."""
        async with self._turn:
            if stop.is_set():
                return None
            async with self._db.queue() as tx:
                row = await tx.fetch_one(CLAIM, owner=self._owner, seconds=self._seconds, kinds=sorted(self._handlers))
            if row is None:
                await pause(self._idle * random.uniform(0.8, 1.2), stop)  # noqa: S311 - spreads load, guards nothing
            return row

    async def _settle(self, row: Row) -> None:
        crashpoint("job.claimed")
        job, payload = _job(row), _payload(row)
        with use_traceparent(None), span(f"job {job.kind}", workspace_id=job.workspace_id, job_id=job.id):
            await self._finish(job, await self._outcome(job, payload))

    async def _outcome(self, job: Job, payload: Mapping[str, Any]) -> Exception | None:
        """The failure, if any. A lease that another owner took ends the run: its writes would be fenced anyway."""
        running = asyncio.ensure_future(self._handlers[job.kind](payload, job))
        beating = asyncio.create_task(self._beat(job), name="job lease")
        try:
            await asyncio.wait({running, beating}, return_when=asyncio.FIRST_COMPLETED)
            await (running if running.done() else beating)
        except Exception as error:  # every failure of a job is an outcome: recorded, and tried again later
            return error
        finally:
            beating.cancel()
            running.cancel()
            await asyncio.gather(beating, running, return_exceptions=True)
        return None

    async def _beat(self, job: Job) -> None:
        while True:
            await asyncio.sleep(self._seconds / 3)
            async with self._db.queue() as tx:
                if not await tx.execute(EXTEND, id=job.id, epoch=job.epoch, seconds=self._seconds):
                    raise LeaseLost("another worker took the job")

    async def _finish(self, job: Job, error: Exception | None) -> None:
        outcome = _outcome_of(error)
        _runs.labels(job.kind, outcome).inc()
        if error is not None:
            _tell(job, outcome, error)
        async with self._db.queue() as tx:
            if error is not None and outcome != "done":
                told = f"{error_code(error)}: {error_text(error)}"
                sql = WAITING if outcome == "waiting" else FAILED
                await tx.execute(sql, id=job.id, epoch=job.epoch, error=told, seconds=self._wait(job, error))
            elif not await tx.execute(DONE, id=job.id, epoch=job.epoch, asked=job.asked):
                await tx.execute(FREE, id=job.id, epoch=job.epoch)
        crashpoint("job.finished")

    def _wait(self, job: Job, error: Exception) -> float:
        if isinstance(error, RetryAfter):
            return max(0.0, (error.until - datetime.now(UTC)).total_seconds())
        full = min(LONGEST_RETRY, self._first_retry * 2.0 ** min(job.attempts - 1, 20))
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def _tell(job: Job, outcome: Outcome, error: Exception) -> None:
    if outcome == "waiting":
        log.info("job_waits", job_id=job.id, job_kind=job.kind, code=error_code(error))
    else:
        log.warning("job_failed", job_id=job.id, job_kind=job.kind, attempts=job.attempts, exc_info=error)


def _outcome_of(error: Exception | None) -> Outcome:
    if isinstance(error, RetryAfter):
        return "waiting"
    return "done" if error is None or disposition_of(error) is Disposition.ACK else "failed"


def _job(row: Row) -> Job:
    return Job(**{name: row[name] for name in Job.__struct_fields__})


def _payload(row: Row) -> Mapping[str, Any]:
    found = row["payload"]
    payload: Mapping[str, Any] = found if isinstance(found, dict) else msgspec.json.decode(found)
    return payload
