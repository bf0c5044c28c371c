"""The broker is killed and comes back empty: what it forgot is told again, and what is told again changes nothing."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from libs.common.testing.eventually import eventually
from libs.local.client import Told
from tests.chaos import bus
from tests.chaos.stack import Stack
from tests.chaos.syncing import Syncing, begin, seed, slow_down
from tests.chaos.tables import assert_quiet, checksums, told
from tests.support.figures import Tell

pytestmark = pytest.mark.timeout(300)

ISSUES = 150
PATIENCE = 90.0
TOPIC = "source.changed"
# Told to the broker, and not heard by the chunker.
UNHEARD = """
SELECT count(*) FROM sync.outbox o
WHERE topic = 'source.changed' AND published_at IS NOT NULL AND workspace_id = $1
  AND NOT EXISTS (SELECT FROM chunker.index_wanted w WHERE w.source_id = o.key)
  AND NOT EXISTS (SELECT FROM chunker.indexed_source i WHERE i.id = o.key)
"""
NEVER_LOOKED = "SELECT count(*) FROM webhooks.subscription WHERE state = 'active' AND looked_at IS NULL"
LOGS = "SELECT log_id FROM {}.relay_log"
# Trees of summaries that changed are made at once, not when it has settled: 2, 5 and 15 s, a level each.
SETTLED = "UPDATE chunker.summary_wanted SET due_at = now() WHERE due_at > now()"
HINTS = "webhook.received"
HEARD = "SELECT count(*) FROM sync.heard_delivery WHERE workspace_id = $1"


@pytest.fixture(scope="module")
def repository(stack: Stack) -> str:
    return seed(stack, "chaos/told", issues=ISSUES)


@pytest.fixture(scope="module")
async def neighbour(stack: Stack) -> Syncing:
    """Another workspace, done long ago, whose events stand in every log."""
    syncing = await begin(stack, seed(stack, "chaos/neighbour", issues=30), monitor=True)
    await syncing.settle(PATIENCE)
    return syncing


@pytest.mark.parametrize("refilled", [False, True], ids=["empty", "refilled"])
async def test_broker_that_lost_its_memory_in_mid_sync_loses_no_source(
    stack: Stack, repository: str, neighbour: Syncing, figure: Tell, refilled: bool
) -> None:
    slow_down(stack, repository, after_pages=1, seconds=1.0)
    with stopped(stack, "chunker"):
        syncing = await begin(stack, repository)
        await eventually(lambda: stack.number(UNHEARD, syncing.workspace), timeout=30)
        known = await _logs(stack, "sync")
        with stopped(stack, "sync") if refilled else nullcontext():
            unheard = await stack.number(UNHEARD, syncing.workspace)
            ends = await bus.acknowledged(stack)
            killed = stack.kill("broker")
            await stack.back(killed.before)
            if refilled:
                await _refill(stack, neighbour, {place: end for place, end in ends.items() if place.topic == TOPIC})
    word = f"quoin{uuid4().hex[:12]}"
    stack.control.change("open_issue", repository=repository, title=f"About {word}", body=f"Nothing else says {word}.")
    await syncing.settle(PATIENCE)
    await syncing.sync_again()
    verdict = await syncing.settle(PATIENCE)

    figure("broker_lost_refilled" if refilled else "broker_lost", verdict.wrong, "lost", verdict.expected)
    assert verdict.wrong == 0, verdict
    assert _finds(stack, syncing, word)
    assert unheard > 0, "nothing was lost with the broker"
    assert not known & await _logs(stack, "sync"), "the broker did not lose its memory"
    assert await syncing.pages(before=killed.at) > 0
    assert await syncing.pages(after=killed.dead_at) > 0


async def _refill(stack: Stack, neighbour: Syncing, ends: dict[TopicPartition, int]) -> None:
    """New records stand where the lost ones stood and beyond, before the relay looks: no offset looks too low."""
    theirs = [one for one in await bus.retained(stack, ["sync"]) if one.workspace_id == neighbour.workspace]
    copies = [one for one in theirs if one.topic == TOPIC]
    records = [
        (copies[number % len(copies)], place.partition) for place, end in ends.items() for number in range(end + 2)
    ]
    now = await bus.publish(stack, records)
    assert ends
    assert all(now[place] > end for place, end in ends.items())


async def test_everything_told_twice_more_and_out_of_order_changes_no_row(
    stack: Stack, neighbour: Syncing, figure: Tell
) -> None:
    """Whatever else happened here before: of a workspace that deliveries keep fresh, and of two that are gone."""
    hinted, *_ = await asyncio.gather(_follow(stack, neighbour), _disconnect(stack), _erase(stack))
    await eventually(partial(_assert_settled, stack), timeout=2 * PATIENCE)  # leases of the killed end meanwhile
    before, events, requests = await checksums(stack), await told(stack), stack.control.last_request()
    logs = await _logs(stack, *events)

    killed = stack.kill("broker")
    await stack.back(killed.before)
    await eventually(partial(_assert_republished, stack, logs, events), timeout=PATIENCE)
    copies = [(event, None) for event in await bus.retained(stack)]
    random.Random(7).shuffle(copies)
    ends = await bus.publish(stack, copies)
    await eventually(partial(bus.assert_all_read, stack, ends), timeout=PATIENCE)
    await eventually(partial(assert_quiet, stack), timeout=PATIENCE)

    after = await checksums(stack)
    changed = [table for table in before if before[table] != after[table]]
    calls = stack.control.last_request() - requests
    hints = Counter(event.topic for event, _ in copies)[HINTS]
    figure("F21", len(changed), "changed_tables", len(before))
    figure("F21_outbound_calls", calls, "calls", f"{len(copies)}_events_{hints}_deliveries")
    assert hints >= hinted
    assert len(copies) > hints
    assert not changed
    assert await told(stack) == events
    assert calls == 0


async def _follow(stack: Stack, syncing: Syncing) -> int:
    """Changes that only deliveries tell of, in streams and in single objects; answers how many told."""
    (repository,) = syncing.repositories
    await eventually(lambda: stack.control.truth(repository)["hooks"], timeout=20)
    stack.control.change("push", repository=repository, files={"told.md": "# Told\n"}, message="Told")
    stack.control.change("delete_issue", repository=repository, number=1)
    stack.control.change("comment", repository=repository, number=2, body="Told")
    for number in range(3, 10):
        stack.control.change("edit_issue", repository=repository, number=number, title=f"Told {number}")

    async def followed() -> bool:
        return (await syncing.verdict()).wrong == 0

    await eventually(followed, timeout=PATIENCE)
    return await stack.number(HEARD, syncing.workspace)


async def _disconnect(stack: Stack) -> None:
    syncing = await begin(stack, seed(stack, "chaos/left", issues=3), monitor=True)
    await syncing.settle(PATIENCE)
    stack.door.delete(f"/v1/integrations/{syncing.integration}")


async def _erase(stack: Stack) -> None:
    syncing = await begin(stack, seed(stack, "chaos/erased", issues=3), monitor=True)
    await syncing.settle(PATIENCE)
    stack.door.delete(f"/v1/workspaces/{syncing.workspace}")


async def _assert_settled(stack: Stack) -> None:
    """What was told is heard by everyone, and each new hook was looked through once: nothing of it comes later."""
    await stack.rows(SETTLED)
    await assert_quiet(stack)
    await bus.assert_all_read(stack, await bus.acknowledged(stack))
    assert not await stack.number(NEVER_LOOKED)


async def _assert_republished(stack: Stack, logs: set[str], services: dict[str, int]) -> None:
    assert not logs & await _logs(stack, *services), "a relay still holds the lost log for the present one"
    await assert_quiet(stack)


async def _logs(stack: Stack, *services: str) -> set[str]:
    return {row["log_id"] for service in services for row in await stack.rows(LOGS.format(service))}


def _finds(stack: Stack, syncing: Syncing, word: str) -> bool:
    try:
        found = stack.door.post(f"/v1/workspaces/{syncing.workspace}/search", {"query": word, "limit": 1})["items"]
    except Told:
        return False
    return bool(found) and word in found[0]["chunk"]["text"]


@contextmanager
def stopped(stack: Stack, name: str) -> Iterator[None]:
    """SIGSTOP until the end of the block: the process lives, hears nothing and says nothing."""
    stack.signal(name, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.signal(name, signal.SIGCONT)
