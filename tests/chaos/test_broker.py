"""The broker is killed and comes back empty: what it forgot is told again, and what is told again changes nothing."""

from __future__ import annotations

import random
import signal

import pytest
from aiokafka import TopicPartition

from libs.common.testing.eventually import eventually
from tests.chaos import bus
from tests.chaos.conftest import Tell
from tests.chaos.stack import Killed, Stack
from tests.chaos.syncing import Syncing, begin, seed, slow_down
from tests.chaos.tables import checksums, emitted

pytestmark = pytest.mark.timeout(150)

ISSUES = 200
PATIENCE = 90.0
# Told to the broker, and not heard by the chunker.
UNHEARD = """
SELECT count(*) FROM sync.outbox o
WHERE topic = 'source.changed' AND published_at IS NOT NULL AND convert_from(payload, 'UTF8')::json->>'integration_id' = $1
  AND NOT EXISTS (SELECT FROM chunker.index_wanted w WHERE w.source_id = o.key)
  AND NOT EXISTS (SELECT FROM chunker.indexed_source i WHERE i.id = o.key)
"""
CLUSTERS = "SELECT count(*) FROM sync.relay_log WHERE topic = 'source.changed' AND log_id = ANY($1)"
LOGS = "SELECT DISTINCT log_id FROM sync.relay_log WHERE topic = 'source.changed'"


@pytest.fixture(scope="module")
def repository(stack: Stack) -> str:
    return seed(stack, "chaos/told", issues=ISSUES)


@pytest.mark.parametrize("refilled", [False, True], ids=["empty", "refilled"])
async def test_broker_that_lost_its_memory_in_mid_sync_loses_no_source(
    stack: Stack, repository: str, figure: Tell, refilled: bool
) -> None:
    slow_down(stack, repository, after_pages=1, seconds=2.0)
    syncing = await begin(stack, repository)
    killed, unheard = await _lose_what_the_chunker_has_not_heard(stack, syncing, refilled)
    word = _open_an_issue(stack, repository, syncing)
    verdict = await syncing.settle(PATIENCE)
    await syncing.sync_again()
    verdict = await syncing.settle(PATIENCE)

    assert unheard > 0, "nothing was lost with the broker"
    assert await syncing.pages(before=killed.at) > 0
    assert await syncing.pages(after=killed.dead_at) > 0
    name = "broker_lost_refilled" if refilled else "broker_lost"
    figure(name, verdict.wrong, "lost", verdict.expected)
    assert verdict.wrong == 0, verdict
    assert await _found(stack, syncing, word)
