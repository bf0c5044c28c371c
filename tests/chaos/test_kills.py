"""kill -9 in mid-sync, nothing restarted by hand: the copy ends as the provider has it, and no page is read thrice."""

from __future__ import annotations

import time

import pytest

from libs.local.state import SERVICES
from tests.chaos.conftest import Tell
from tests.chaos.stack import Killed, Stack
from tests.chaos.syncing import CODE_REPOSITORY, Syncing, begin, seed, slow_issue_pages

pytestmark = pytest.mark.timeout(120)

ISSUES = 600
STRIKE_AFTER_PAGES = 3
PAGE_SECONDS = 0.5
WITHIN = 30.0


@pytest.fixture(scope="module")
def large(stack: Stack) -> str:
    return seed(stack, "chaos/large", ISSUES)


@pytest.mark.parametrize(
    "victims", [*((name,) for name in SERVICES), SERVICES, ("postgres",), ("valkey",)], ids="+".join
)
async def test_kill_in_mid_sync_leaves_the_copy_as_the_provider_has_it(
    stack: Stack, large: str, figure: Tell, victims: tuple[str, ...]
) -> None:
    slow_issue_pages(stack, large, PAGE_SECONDS)
    # Page after page of one repository, object after object of the other.
    repositories = [large, CODE_REPOSITORY] if "sync" in victims else [large]
    syncing = await begin(stack, *repositories)
    await syncing.reach(pages=STRIKE_AFTER_PAGES, indexed=1)
    killed = stack.kill(*victims)
    await stack.back(killed.before)
    began = time.monotonic()
    verdict = await syncing.settle(WITHIN)
    took = time.monotonic() - began

    await _assert_struck_in_the_middle(syncing, killed)
    name = "all" if len(victims) > 1 else victims[0]
    most, page = max((count, path) for path, count in syncing.fetches().items())
    figure(f"kill_{name}", verdict.wrong, "wrong", verdict.expected)
    figure(f"kill_{name}_settled", round(took, 1), "s", WITHIN)
    figure("refetched_pages", most, "fetches", 2)
    assert verdict.wrong == 0, verdict
    assert most <= 2, page


async def _assert_struck_in_the_middle(syncing: Syncing, killed: Killed) -> None:
    """Else the test has shown nothing."""
    assert await syncing.pages(before=killed.at) > 0
    assert await syncing.pages(after=killed.dead_at) > 0
    if "chunker" in killed.before:
        assert await syncing.indexed(before=killed.at) > 0
        assert await syncing.indexed(after=killed.dead_at) > 0
