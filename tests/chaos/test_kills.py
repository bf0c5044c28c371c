"""kill -9 in mid-sync, nothing restarted by hand: the copy ends as the provider has it, and no page is read thrice."""

from __future__ import annotations

import time

import pytest

from libs.local.state import SERVICES
from tests.chaos.stack import Killed, Stack
from tests.chaos.syncing import Syncing, begin, seed, slow_down
from tests.support.figures import Tell

pytestmark = pytest.mark.timeout(120)

ISSUES = 200
FILES = 110
STRIKE_AFTER_PAGES = 1
PAGE_SECONDS = 1.0
INDEXING_SECONDS = 3.0  # of a page, where the chunker must have begun before the last one
WITHIN = 30.0
PATIENCE = 90.0  # longer than allowed, so that a slow recovery is told apart from a wrong one


@pytest.fixture(scope="module")
def large(stack: Stack) -> str:
    """Pages of issues, which come whole, and pages of files, which are read one by one."""
    return seed(stack, "chaos/large", issues=ISSUES, files=FILES)


@pytest.mark.parametrize("victims", [*((name,) for name in SERVICES), SERVICES, ("postgres", "valkey")], ids="+".join)
async def test_kill_in_mid_sync_leaves_the_copy_as_the_provider_has_it(
    stack: Stack, large: str, figure: Tell, victims: tuple[str, ...]
) -> None:
    indexing = "chunker" in victims
    slow_down(stack, large, after_pages=STRIKE_AFTER_PAGES, seconds=INDEXING_SECONDS if indexing else PAGE_SECONDS)
    syncing = await begin(stack, large)
    await syncing.reach(pages=STRIKE_AFTER_PAGES, indexed=int(indexing))
    killed = stack.kill(*victims)
    await stack.back(killed.before)
    began = time.monotonic()
    verdict = await syncing.settle(PATIENCE)
    took = time.monotonic() - began

    await _assert_struck_in_the_middle(syncing, killed)
    name = "all" if victims == SERVICES else "_".join(victims)
    most, page = max((count, path) for path, count in syncing.fetches().items())
    figure(f"kill_{name}", verdict.wrong, "wrong", verdict.expected)
    figure(f"kill_{name}_settled", round(took, 1), "s", WITHIN)
    figure("refetched_pages", most, "fetches", 2)
    assert verdict.wrong == 0, verdict
    assert most <= 2, page
    assert took <= WITHIN


async def _assert_struck_in_the_middle(syncing: Syncing, killed: Killed) -> None:
    """Else the test has shown nothing."""
    assert await syncing.pages(before=killed.at) > 0
    assert await syncing.pages(after=killed.dead_at) > 0
    if "chunker" in killed.before:
        assert await syncing.indexed(before=killed.at) > 0
        assert await syncing.indexed(after=killed.dead_at) > 0
