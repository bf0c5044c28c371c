"""Thirty kills at random moments of one large sync; the seed is printed, SLUICE_CHAOS_SEED replays the choices."""

from __future__ import annotations

import os
import random
import secrets

import pytest

from libs.common.testing.eventually import eventually
from libs.local.state import SERVICES
from tests.chaos.stack import Stack
from tests.chaos.syncing import Syncing, begin, seed, slow_down
from tests.support.figures import Progress, Tell

pytestmark = pytest.mark.timeout(5400)

REPOSITORY = "chaos/huge"
ISSUES = 100_000
SEEDED_AT_A_TIME = 10_000
KILLS = 30
PAGE_SECONDS = 2.0  # a thousand pages outlast thirty recoveries by far
SETTLE_SECONDS = 2400
PARTS = (*SERVICES, "postgres", "valkey", "broker")
MOST_MEMORY_MB = 512


async def test_thirty_random_kills_over_a_hundred_thousand_issues_lose_nothing(
    stack: Stack, figure: Tell, progress: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    number = int(os.environ.get("SLUICE_CHAOS_SEED") or secrets.randbelow(1_000_000))
    with capsys.disabled():
        print(f"\nSLUICE_CHAOS_SEED={number}")
    choice = random.Random(number)
    for _ in range(ISSUES // SEEDED_AT_A_TIME):
        seed(stack, REPOSITORY, issues=SEEDED_AT_A_TIME)
    slow_down(stack, REPOSITORY, after_pages=1, seconds=PAGE_SECONDS)
    syncing = await begin(stack, REPOSITORY)
    memory = []
    for strike in range(KILLS):
        memory.append(await _strike(stack, syncing, choice))
        progress(strike + 1, KILLS, kills="so far", indexed=await syncing.indexed(), seed=number)
    stack.control.ask("DELETE", "faults")

    async def told() -> None:
        """The copy is whole, and all of it is in the topic. To cut so many texts takes the chunker much longer."""
        memory.append(_largest_mb(stack))
        untold = await syncing.untold()
        progress(await syncing.pages(), ISSUES // 100, untold=untold, MB=max(memory), seed=number)
        syncing.succeeded()
        assert untold == 0

    await eventually(told, timeout=SETTLE_SECONDS, interval=2.0)
    verdict = await syncing.verdict()

    most, page = max((count, path) for path, count in syncing.fetches().items())
    figure("L10", verdict.wrong_in_the_copy, "wrong", verdict.expected)
    figure("long_refetched_pages", most, "fetches", 2)
    figure("long_memory", max(memory), "MB", MOST_MEMORY_MB)
    assert verdict.wrong_in_the_copy == 0, verdict
    assert most <= 2, page
    assert max(memory) <= MOST_MEMORY_MB


async def _strike(stack: Stack, syncing: Syncing, choice: random.Random) -> int:
    """After two pages more, so that one in flight and one ahead are lost once, never twice. MB of the largest."""
    await syncing.reach(pages=await syncing.pages() + choice.randint(2, 3), seconds=120, interval=0.2)
    memory = _largest_mb(stack)
    killed = stack.kill(choice.choice(PARTS))
    await stack.back(killed.before)
    assert await syncing.pages(before=killed.at) > 0
    return memory


def _largest_mb(stack: Stack) -> int:
    return max(_resident_mb(stack, service) for service in SERVICES)


def _resident_mb(stack: Stack, service: str) -> int:
    identity = stack.entry(service).identity
    assert identity is not None
    with open(f"/proc/{identity.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
