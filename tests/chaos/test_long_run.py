"""Thirty kills at random moments of one large sync; the seed is printed, SLUICE_CHAOS_SEED replays the choices."""

from __future__ import annotations

import os
import random
import secrets

import pytest

from libs.local.state import SERVICES
from tests.chaos.stack import Stack
from tests.chaos.syncing import Syncing, begin, seed, slow_down
from tests.support.figures import Tell

pytestmark = pytest.mark.timeout(3600)

ISSUES = 20_000
KILLS = 30
PAGE_SECONDS = 5.0  # two hundred pages outlast thirty recoveries
PARTS = (*SERVICES, "postgres", "valkey", "broker")
MOST_MEMORY_MB = 512


async def test_thirty_random_kills_over_twenty_thousand_issues_lose_nothing(
    stack: Stack, figure: Tell, capsys: pytest.CaptureFixture[str]
) -> None:
    number = int(os.environ.get("SLUICE_CHAOS_SEED") or secrets.randbelow(1_000_000))
    with capsys.disabled():
        print(f"\nSLUICE_CHAOS_SEED={number}")
    choice = random.Random(number)
    repository = seed(stack, "chaos/huge", issues=ISSUES)
    slow_down(stack, repository, after_pages=1, seconds=PAGE_SECONDS)
    syncing = await begin(stack, repository)
    memory = [await _strike(stack, syncing, choice) for _ in range(KILLS)]
    stack.control.ask("DELETE", "faults")
    verdict = await syncing.settle(900)

    most, page = max((count, path) for path, count in syncing.fetches().items())
    figure("L10", verdict.wrong, "wrong", verdict.expected)
    figure("long_refetched_pages", most, "fetches", 2)
    figure("long_memory", max(memory), "MB", MOST_MEMORY_MB)
    assert verdict.wrong == 0, verdict
    assert most <= 2, page
    assert max(memory) <= MOST_MEMORY_MB


async def _strike(stack: Stack, syncing: Syncing, choice: random.Random) -> int:
    """After two pages more, so that one in flight and one ahead are lost once, never twice. MB of the largest."""
    await syncing.reach(pages=await syncing.pages() + choice.randint(2, 3), seconds=120)
    memory = max(_resident_mb(stack, service) for service in SERVICES)
    killed = stack.kill(choice.choice(PARTS))
    await stack.back(killed.before)
    assert await syncing.pages(before=killed.at) > 0
    return memory


def _resident_mb(stack: Stack, service: str) -> int:
    identity = stack.entry(service).identity
    assert identity is not None
    with open(f"/proc/{identity.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20
