"""A promised job runs once it is due, on one worker at a time, however often workers die or fail."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.database.engine import Database
from libs.common.errors import NotFound, RateLimited
from libs.common.jobs import Job, JobWorker, forget_job, run_later
from libs.common.jobs.worker import JobHandler
from libs.common.testing.eventually import eventually
from libs.local.postgres import Postgres
from tests.integration.bus import rig

NOW = datetime(2020, 1, 1, tzinfo=UTC)


async def promise(db: Database, key: str, payload: dict[str, Any] | None = None, at: datetime = NOW) -> None:
    async with db.transaction(rig.WORKSPACE) as tx:
        await run_later(tx, "renew", key, payload or {}, at)


async def stored(db: Database) -> list[Mapping[str, Any]]:
    async with db.queue() as tx:
        return list(await tx.fetch_all("SELECT * FROM job ORDER BY dedupe_key"))


def worker(db: Database, handler: JobHandler, **more: Any) -> JobWorker:
    return JobWorker(db, {"renew": handler}, idle=0.02, **more)


async def empty(db: Database) -> bool:
    return await stored(db) == []


async def test_due_jobs_run_once_each_and_are_gone(db: Database) -> None:
    runs: list[str] = []

    async def run(payload: Mapping[str, Any], job: Job) -> None:
        assert payload == {"of": job.dedupe_key}
        assert job.workspace_id == rig.WORKSPACE
        runs.append(job.dedupe_key)

    for number in range(40):
        await promise(db, f"k{number}", {"of": f"k{number}"})
    await promise(db, "later", {"of": "later"}, datetime.now(UTC) + timedelta(hours=1))
    async with rig.running(worker(db, run), worker(db, run)):

        async def only_later_left() -> bool:
            return [row["dedupe_key"] for row in await stored(db)] == ["later"]

        await eventually(only_later_left)
    assert sorted(runs) == sorted(f"k{number}" for number in range(40))


async def test_a_promise_is_kept_only_if_its_transaction_commits(db: Database) -> None:
    class Undone(Exception):
        pass

    async def undone() -> None:
        async with db.transaction(rig.WORKSPACE) as tx:
            await run_later(tx, "renew", "k", {}, NOW)
            raise Undone

    with pytest.raises(Undone):
        await undone()
    assert await empty(db)


async def test_asking_twice_is_one_job_with_the_newest_wish(db: Database) -> None:
    await promise(db, "k", {"wish": 1}, NOW)
    await promise(db, "k", {"wish": 2}, NOW + timedelta(days=1))
    (row,) = await stored(db)
    assert row["payload"] == {"wish": 2}
    assert row["run_at"] == NOW + timedelta(days=1)
    async with db.transaction(rig.WORKSPACE) as tx:
        assert await forget_job(tx, "renew", "k")
    assert await empty(db)


async def test_the_same_key_of_two_workspaces_is_two_jobs(db: Database) -> None:
    for workspace in ("ws-a", "ws-b"):
        async with db.transaction(workspace) as tx:
            await run_later(tx, "renew", "k", {}, NOW)
    assert len(await stored(db)) == 2


async def test_asked_again_while_it_runs_it_runs_again(db: Database) -> None:
    wishes: list[int] = []
    entered, go = asyncio.Event(), asyncio.Event()

    async def run(payload: Mapping[str, Any], job: Job) -> None:
        wishes.append(payload["wish"])
        entered.set()
        await go.wait()

    await promise(db, "k", {"wish": 1})
    async with rig.running(worker(db, run)):
        await asyncio.wait_for(entered.wait(), 20)
        await promise(db, "k", {"wish": 2})
        go.set()
        await eventually(lambda: empty(db))
    assert wishes == [1, 2]


async def test_a_failing_job_is_tried_again_and_shows_its_attempts(db: Database) -> None:
    attempts: list[int] = []

    async def run(payload: Mapping[str, Any], job: Job) -> None:
        attempts.append(job.attempts)
        if job.attempts < 4:
            raise ValueError("the value 42 of somebody")

    await promise(db, "k")
    async with rig.running(worker(db, run, first_retry=0.02)):

        async def failed_twice() -> bool:
            return bool(attempts) and max(attempts) >= 2

        await eventually(failed_twice)
        await eventually(lambda: empty(db))
    assert attempts == [1, 2, 3, 4]


async def test_a_failure_is_told_without_the_values_in_its_text(db: Database) -> None:
    async def run(payload: Mapping[str, Any], job: Job) -> None:
        raise ValueError("the value 42 of somebody")

    await promise(db, "k")
    async with rig.running(worker(db, run, first_retry=60.0)):

        async def told() -> bool:
            return (await stored(db))[0]["last_error"] is not None

        await eventually(told)
    (row,) = await stored(db)
    assert row["last_error"].startswith("ValueError")
    assert "42" not in row["last_error"].partition(" at ")[0]
    assert row["attempts"] == 1
    assert row["run_at"] > datetime.now(UTC) + timedelta(seconds=20)


async def test_a_refusal_that_is_expected_ends_the_job_and_a_limit_waits_for_its_time(db: Database) -> None:
    until = datetime.now(UTC) + timedelta(minutes=5)

    async def run(payload: Mapping[str, Any], job: Job) -> None:
        raise NotFound("gone") if job.dedupe_key == "gone" else RateLimited("wait", until=until)

    await promise(db, "gone")
    await promise(db, "limited")
    async with rig.running(worker(db, run)):

        async def settled() -> bool:
            rows = await stored(db)
            return [row["dedupe_key"] for row in rows] == ["limited"] and rows[0]["last_error"] is not None

        await eventually(settled)
    (row,) = await stored(db)
    assert abs(row["run_at"] - until) < timedelta(seconds=5)


async def test_a_long_job_keeps_its_lease_and_a_taken_one_is_stopped(db: Database) -> None:
    stopped = asyncio.Event()
    runs = 0

    async def run(payload: Mapping[str, Any], job: Job) -> None:
        nonlocal runs
        runs += 1
        if runs > 1:
            return
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    await promise(db, "k")
    async with rig.running(worker(db, run, lease_seconds=0.6), worker(db, run, lease_seconds=0.6)):
        await eventually(lambda: runs == 1)
        # Two whole terms pass, by the database's own clock, without anybody else taking it.
        async with db.queue() as tx:
            await tx.execute("SELECT pg_sleep(1.3)")
        assert runs == 1
        async with db.queue() as tx:
            await tx.execute("UPDATE job SET epoch = epoch + 1")
        await asyncio.wait_for(stopped.wait(), 20)
        await eventually(lambda: empty(db))
    assert runs == 2


@pytest.mark.parametrize("point", ["job.claimed:1", "job.finished:1"])
async def test_a_worker_killed_leaves_the_job_to_the_next(
    postgres: Postgres, name: str, db: Database, bus: rig.Bus, point: str
) -> None:
    await promise(db, "k")
    crash = {"SLUICE_CRASHPOINT": point}
    async with rig.process("tests.integration.jobs.job_process", postgres, name, bus, **crash) as child:
        assert await rig.killed(child)
    async with rig.process("tests.integration.jobs.job_process", postgres, name, bus):
        await eventually(lambda: empty(db), timeout=20)
    assert [row["times"] for row in await rig.seen(db)] == [1]
