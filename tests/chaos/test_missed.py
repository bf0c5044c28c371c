"""Nobody answers the provider's hooks, and then somebody does again: the copy is whole with no poll and no sync."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from libs.common.testing.eventually import eventually
from tests.chaos.stack import Stack
from tests.chaos.syncing import begin, seed
from tests.support.figures import Tell, sized

pytestmark = pytest.mark.timeout(900)

REPOSITORY = "chaos/missed"
ISSUES = 250


async def test_webhooks_dropped_and_asked_for_again_leave_no_difference(stack: Stack, figure: Tell) -> None:
    """F19, second variant: the copy follows by deliveries alone, edits and deletions among them."""
    count = sized(4, 100)
    syncing = await begin(stack, seed(stack, REPOSITORY, issues=ISSUES), monitor=True)
    await syncing.settle(60.0)
    await eventually(lambda: len(stack.control.truth(REPOSITORY)["hooks"]) == 1, timeout=20.0)

    seen = max((one["id"] for one in _deliveries(stack)), default=0)
    stack.control.ask("POST", "settings", {"deliverHooks": False})
    try:
        for at in range(1, 2 * count, 2):
            stack.control.change("delete_issue", repository=REPOSITORY, number=at)
            stack.control.change("edit_issue", repository=REPOSITORY, number=at + 1, title=f"Edited {at}")
        stack.control.change("push", repository=REPOSITORY, files={"missed.md": "# Missed\n"}, message="Missed")
        missed = {one["guid"] for one in _deliveries(stack, since=seen) if one["state"] == "failed"}
        lost = (await syncing.verdict()).wrong
        killed = stack.kill("webhooks")
    finally:
        stack.control.ask("POST", "settings", {"deliverHooks": True})
    await stack.back(killed.before)

    async def made_up_for() -> bool:
        return missed <= _sent_again(stack, seen).keys() and (await syncing.verdict()).wrong == 0

    began = time.monotonic()
    await eventually(made_up_for, timeout=60.0 + 5.0 * len(missed), interval=0.5)
    asked = _sent_again(stack, seen)
    verdict = await syncing.verdict()
    figure("F19_redelivered", sum(asked.values()), "asked", len(missed))
    figure("F19_differences", verdict.wrong, "differences", f"{lost}_of_{verdict.expected}")
    figure("F19_made_up_for", round(time.monotonic() - began, 1), "s", len(missed))
    assert lost >= len(missed) > 2 * count
    assert asked == dict.fromkeys(missed, 1)
    assert verdict.wrong == 0, verdict


def _deliveries(stack: Stack, since: int = 0) -> list[dict[str, object]]:
    return list(stack.control.ask("GET", f"deliveries?since={since}")["items"])


def _sent_again(stack: Stack, since: int) -> Counter[object]:
    return Counter(one["guid"] for one in _deliveries(stack, since) if one["redelivery"])
