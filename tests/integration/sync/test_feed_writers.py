"""Sixty-four writers at once: a reader of the feed that is killed and resumes anywhere skips nothing, and what it reads
is what the topic holds."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import msgspec
import pytest

from libs.common.database.engine import Database
from libs.common.events.catalog import CATALOG
from libs.common.events.cloudevents import decode
from libs.common.http.wire import decode_cursor, encode_cursor
from libs.common.outbox.relay import Relay
from libs.common.provider.sync import Observed
from libs.common.testing.eventually import eventually
from services.sync.domain.feed import Position
from services.sync.domain.plan import Batch
from services.sync.repository import resources
from services.sync.use_cases.apply import apply_batch
from tests.integration.bus import rig
from tests.integration.sync.engine import Engine
from tests.support.figures import Progress, Tell, sized

WRITERS, RESOURCES, KEYS, ITEMS = 64, 32, 40, 10
TOPIC = "source.changed"
NAIVE = "SELECT id FROM outbox WHERE id > :last ORDER BY id"


class Life(msgspec.Struct):
    """What a reader read between two deaths: where it began, and every seq that came."""

    begun: int
    seqs: list[int] = []


class Reader:
    """Resumes at the furthest cursor that it saved, or (`wanders`) at any that it ever saved. When all is written every
    second life of a wanderer goes on from the furthest too, or it would never come to the end of a long feed.
    """

    def __init__(self, api: httpx.AsyncClient, workspace: str, *, wanders: bool, seed: int) -> None:
        self._api, self._url = api, f"/v1/workspaces/{workspace}/changes"
        self._chance, self._wanders = random.Random(seed), wanders
        self._saved = [encode_cursor(Position(workspace, 0))]
        self._furthest = 0
        self.lives: list[Life] = []
        self.items: dict[int, dict[str, Any]] = {}
        self.killed = self.disorder = 0

    async def run(self, written: asyncio.Event) -> None:
        while not (written.is_set() and await self._live(to_the_end=True)):
            await self._live()

    async def _live(self, *, to_the_end: bool = False) -> bool:
        """True when it has come to the end of the feed alive."""
        wandering = self._wanders and not to_the_end
        cursor = self._chance.choice(self._saved) if wandering else self._saved[self._furthest]
        life = Life(decode_cursor(cursor, Position).seq)
        self.lives.append(life)
        newest: dict[str, int] = {}
        for _ in range(10_000 if to_the_end else self._chance.randrange(1, 8)):
            asking = asyncio.create_task(self._api.get(self._url, params=self._asked(cursor)))
            if self._chance.random() < 0.2:
                await asyncio.wait({asking}, timeout=self._chance.random() * 0.01)
                asking.cancel()
                await asyncio.wait({asking})
                self.killed += 1
                return False
            page = (await asking).json()
            self._take(life, page["items"], newest)
            cursor = page["nextCursor"]
            self._save(cursor)
            if to_the_end and not page["hasMore"]:
                return True
        return False

    def _save(self, cursor: str) -> None:
        self._saved.append(cursor)
        if self._seq(-1) >= self._seq(self._furthest):
            self._furthest = len(self._saved) - 1

    def _seq(self, at: int) -> int:
        return decode_cursor(self._saved[at], Position).seq

    def _asked(self, cursor: str) -> dict[str, Any]:
        return {"cursor": cursor, "limit": self._chance.randrange(1, 400), "wait": self._chance.choice((0, 0.3))}

    def _take(self, life: Life, items: Sequence[dict[str, Any]], newest: dict[str, int]) -> None:
        for item in items:
            source, version = item["event"]["source_id"], item["event"]["version"]
            self.disorder += version <= newest.get(source, 0) or item["seq"] <= (life.seqs or [0])[-1]
            newest[source] = version
            life.seqs.append(item["seq"])
            self.items[item["seq"]] = item

    def skipped(self, true: Sequence[int]) -> int:
        """Over all its lives: what lies between its first cursor and the last seq that it read, and did not come."""
        return sum(len(_between(true, life.begun, life.seqs[-1]) - set(life.seqs)) for life in self.lives if life.seqs)


def _between(true: Sequence[int], begun: int, end: int) -> set[int]:
    return set(true[bisect_right(true, begun) : bisect_right(true, end)])


async def write(db: Database, engine: Engine, writer: int, count: int, wrote: Callable[[int], None]) -> None:
    """Through the apply path; a write is one changed source, and no two commits take the same time."""
    chance = random.Random(writer)
    resource, told = f"resource-{writer % RESOURCES}", 0
    while told < count:
        keys = chance.sample(range(KEYS), min(ITEMS, count - told))
        gone = {f"issue:{keys[0]}": "deleted by the test"} if chance.random() < 0.3 else {}
        batch = Batch(
            workspace_id=engine.workspace, integration_id=engine.integration, resource_id=resource, provider="double",
            stream="items", cause="poll", removed=gone,
            observed=tuple(_item(key, f"{writer}-{told}-{key}") for key in keys[len(gone) :]),
        )  # fmt: skip
        async with db.transaction(engine.workspace) as tx:
            await resources.lock_selected(tx, resource)
            changes = (await apply_batch(tx, batch)).changes
            await tx.execute("SELECT pg_sleep(:delay)", delay=chance.choice((0, 0, 0.002, 0.01, 0.03)))
        told += changes
        wrote(changes)


def _item(number: int, text: str) -> Observed:
    return Observed(
        key=f"issue:{number}", type="issue", name=f"Item {number}", url="", content=text, content_type="text/plain",
        revision=text,
    )  # fmt: skip


async def naive(db: Database, written: asyncio.Event) -> int:
    """How many rows a reader by raw id has met when all are committed."""
    met, last = 0, 0
    while True:
        ending = written.is_set()
        async with db.queue() as tx:
            found = [row["id"] for row in await tx.fetch_all(NAIVE, last=last)]
        met, last = met + len(found), max([last, *found])
        if ending:
            return met


@pytest.mark.timeout(3600)
async def test_sixty_four_writers_and_a_reader_that_dies_and_resumes_anywhere(
    engine: Engine, api: httpx.AsyncClient, kafka: str, figure: Tell, progress: Progress
) -> None:
    total = sized(5_000, 100_000)
    bus = rig.bus_of(kafka)
    await rig.fresh_topics(bus, [topic.name for topic in CATALOG if topic.owner == "sync"])
    await engine.connect()
    await engine.admin.execute("DELETE FROM outbox")
    await engine.admin.execute(
        "INSERT INTO resource (id, workspace_id, integration_id, provider, external_id, kind, name, version)"
        " SELECT 'resource-' || n, $1, $2, 'double', 'r' || n, 'repository', 'r' || n, 1"
        f" FROM generate_series(0, {RESOURCES - 1}) AS n",
        engine.workspace,
        engine.integration,
    )
    urls = {"app_url": engine.settings.database_url, "worker_url": engine.settings.worker_database_url}
    db = Database("sync", **urls, app_pool=WRITERS, worker_pool=4)
    readers = [Reader(api, engine.workspace, wanders=wanders, seed=7 + wanders) for wanders in (False, True)]
    written = asyncio.Event()
    told = 0

    def wrote(changes: int) -> None:
        nonlocal told
        told += changes
        progress(told, total, kills=sum(reader.killed for reader in readers))

    try:
        async with rig.running(Relay(db, "sync", bus)):
            control = asyncio.create_task(naive(db, written))
            reading = [asyncio.create_task(reader.run(written)) for reader in readers]
            await asyncio.gather(
                *(write(db, engine, n, total // WRITERS + (n < total % WRITERS), wrote) for n in range(WRITERS))
            )
            await eventually(lambda: _all_told(db), timeout=300)
            written.set()
            met = await control

            def read_out() -> bool:
                progress(min(len(reader.items) for reader in readers), total, read="by the slower reader")
                return all(task.done() for task in reading)

            await eventually(read_out, timeout=1800, interval=0.2)
            await asyncio.gather(*reading)
        rows = await engine.admin.fetch("SELECT seq FROM outbox WHERE topic = $1 ORDER BY seq", TOPIC)
        records = await rig.everything(bus, TOPIC)
    finally:
        await db.close()
    true = [row["seq"] for row in rows]
    steady = readers[0]
    skipped = len(set(true) - set(steady.items)) + sum(reader.skipped(true) for reader in readers)
    disorder = sum(reader.disorder for reader in readers)
    figure("feed_skipped", skipped, "events", len(true))
    figure("feed_out_of_order", disorder, "events", len(true))
    figure("feed_control_naive", len(true) - met, "lost", len(true))
    figure("feed_reader_kills", sum(reader.killed for reader in readers), "kills", f"{len(steady.lives)}_lives")
    assert (len(true), skipped, disorder) == (total, 0, 0)
    assert len(true) - met >= 1
    assert all(reader.killed for reader in readers)
    _assert_same_facts([steady.items[seq] for seq in true], records)


async def _all_told(db: Database) -> bool:
    async with db.queue() as tx:
        return not await tx.fetch_value("SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)")


def _assert_same_facts(feed: Sequence[dict[str, Any]], records: Sequence[Any]) -> None:
    """Field by field, and in one order for each source: the feed and the topic are two views of the same rows."""
    told = {decode(record.headers).id: record for record in records}
    assert told.keys() == {item["eventId"] for item in feed}
    for item in feed:
        record = told[item["eventId"]]
        attributes = decode(record.headers)
        assert msgspec.json.decode(record.value) == item["event"]
        assert record.key.decode() == attributes.subject == item["event"]["source_id"]
        assert (attributes.type, attributes.time.isoformat()) == (item["topic"], _time(item["occurredAt"]))
    by_log, by_feed = defaultdict(list), defaultdict(list)
    for record in sorted(told.values(), key=lambda one: (one.partition, one.offset)):
        by_log[record.key.decode()].append(decode(record.headers).id)
    for item in feed:
        by_feed[item["event"]["source_id"]].append(item["eventId"])
    assert by_log == by_feed


def _time(text: str) -> str:
    return text.replace("Z", "+00:00")
