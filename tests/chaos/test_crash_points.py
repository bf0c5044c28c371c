"""Every place where our code names that it may be killed is walked: it fires, and nothing is lost or doubled by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from libs.common.testing.crashpoints import crashpoints
from libs.common.testing.eventually import eventually
from tests.chaos.stack import CHECKOUT, Stack
from tests.chaos.syncing import Syncing, begin, seed
from tests.support.figures import Tell, long_run

pytestmark = pytest.mark.timeout(240)

ISSUES = 10
REPOSITORIES = 3  # the provider lets 20 hooks stand in one
PATIENCE = 90.0
STIR_EVERY = 4.0
STIRS = 8
# Who dies where, in this order. The kernel's points are the same code in every service.
WALKS: dict[str, tuple[str, ...]] = {
    "auth": ("relay.picked", "relay.marked", "consume.committed"),
    "sync": ("sync.page_pulled", "relay.sent", "sync.page_committed", "consume.received"),
    "chunker": ("chunker.claimed", "relay.acked", "chunker.indexed", "consume.handled", "chunker.embedded",
                "chunker.vectors_saved", "chunker.switched", "chunker.summaries_placed", "chunker.summaries_made"),
    "webhooks": (
        "job.claimed", "webhooks.hook_settled", "job.finished", "webhooks.delivery_stored",
        "webhooks.delivery_committed",
    ),
}  # fmt: skip
# Those of the mirror need an engine to be told, a slice of a sweep a thousand sources that are gone: the tests of these
# die at each of them, tests/integration/chunker/test_mirror.py and tests/integration/sync/test_sweep_slices.py.
ELSEWHERE = {"mirror.claimed", "mirror.intended", "mirror.told", "mirror.settled", "sync.slice_deleted"}
if long_run():
    CONSUME = ("consume.received", "consume.handled", "consume.committed")
    WALKS = {service: (*points, *CONSUME) for service, points in WALKS.items()}


@dataclass
class Load:
    """What reaches every point: a workspace that connects, and a change that all before it are told of."""

    stack: Stack
    repositories: Sequence[str]
    syncings: list[Syncing] = field(default_factory=list)

    async def stir(self) -> None:
        at = len(self.syncings) % len(self.repositories)
        self.syncings.append(await begin(self.stack, self.repositories[at], monitor=True))
        self.stack.control.change("open_issue", repository=self.repositories[at - 1], title=f"Change {time.time_ns()}")

    def hooks(self) -> list[str]:
        """The addresses of those that stand at the provider."""
        return [hook["url"] for name in self.repositories for hook in self.stack.control.truth(name)["hooks"]]


async def test_process_killed_at_every_named_point_loses_and_doubles_nothing(stack: Stack, figure: Tell) -> None:
    named = crashpoints([CHECKOUT / "libs", CHECKOUT / "services"])
    walked = {point for points in WALKS.values() for point in points}
    assert walked | ELSEWHERE == set(named), "a point is walked by nobody"

    load = Load(stack, [seed(stack, f"chaos/walked-{number}", issues=ISSUES) for number in range(REPOSITORIES)])
    for _ in load.repositories:
        await load.stir()
    await asyncio.gather(*(_walk(stack, service, points, load) for service, points in WALKS.items()))

    for syncing in load.syncings:
        await syncing.sync_again()
    verdicts = [await syncing.settle(PATIENCE) for syncing in load.syncings]
    wrong = sum(verdict.wrong for verdict in verdicts)
    figure("crash_points", sum(map(len, WALKS.values())), "kills", len(named) - len(ELSEWHERE))
    figure("crash_points_wrong", wrong, "wrong", sum(verdict.expected for verdict in verdicts))
    assert wrong == 0, [str(verdict) for verdict in verdicts if verdict.wrong]
    await eventually(lambda: len(load.hooks()) >= len(load.syncings), timeout=PATIENCE)  # a dead owner's job waits
    assert len(set(load.hooks())) == len(load.hooks()) == len(load.syncings)


async def _walk(stack: Stack, service: str, points: Sequence[str], load: Load) -> None:
    """One death after the other; the next is ordered when the service is back."""
    for point in points:
        before = stack.entry(service)
        assert before.identity is not None
        order = stack.orders / str(before.identity.pid)
        order.write_text(point)
        assert await _comes_true(order, load), f"{service} never came by {point}"
        await stack.back({service: before})


async def _comes_true(order: Path, load: Load) -> bool:
    """The process takes the order away before it dies of it."""
    for _ in range(STIRS):
        await load.stir()
        try:
            await eventually(lambda: not order.exists(), timeout=STIR_EVERY)
        except AssertionError:
            continue
        return True
    return False
