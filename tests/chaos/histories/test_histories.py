"""Random work at every provider, faults and deaths on the way: in the end the copy is what the provider has."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from libs.common.testing.crashpoints import crashpoints
from libs.local.postgres import Postgres
from tests.chaos.harness.history import run_seed
from tests.chaos.harness.life import ASKED, COMMITTED, COMMITTING
from tests.chaos.harness.wire import FAULTS
from tests.chaos.histories.child import Order, Verdict
from tests.chaos.histories.making import MEANWHILE
from tests.chaos.histories.plays import open_stage, providers
from tests.chaos.stack import CHECKOUT
from tests.support.figures import Progress, Tell, long_run

pytestmark = pytest.mark.timeout(3000 if long_run() else 900)

AT_LEAST = 500  # in CI all providers together, in a long run each
CHECKS = ("missing", "extra", "stale", "duplicate", "version_regression", "lost_event", "false_delete", "raised")
LANES = max(2, min(4, os.cpu_count() or 2))
# No history has a thousand sources to lose: tests/integration/sync/test_sweep_slices.py dies there.
SELDOM = {"sync.slice_deleted"}


def troubles() -> set[str]:
    """Every kind of fault, every crash point that is come by, a death at a request and on both sides of a commit."""
    points = {*crashpoints([CHECKOUT / "services" / "sync"]).keys() - SELDOM, ASKED, COMMITTING, COMMITTED}
    return {*FAULTS, *MEANWHILE, *(f"kill {point}" for point in points)}


async def play(provider: str, postgres: Postgres, count: int, progress: Progress) -> list[Verdict]:
    played: list[Verdict] = []

    def hear(verdict: Verdict) -> None:
        played.append(verdict)
        wrong = sum(bool(one.told) for one in played)
        progress(len(played), count, provider=provider, wrong=wrong, seed=run_seed())

    orders = [
        Order(
            provider=provider, seed=run_seed(), numbers=list(range(lane, count, LANES)), root=str(postgres.state.root),
            port=postgres.port, database=f"{provider}_{lane}",
        )
        for lane in range(LANES)
    ]  # fmt: skip
    lanes = await asyncio.gather(*(_lane(order, hear) for order in orders))
    assert [complaint for code, complaint in lanes if code] == []
    return played


async def _lane(order: Order, hear: Callable[[Verdict], None]) -> tuple[int | None, str]:
    """(code, its complaint); each history is heard of when it has been played."""
    words = [sys.executable, "-m", "tests.chaos.histories.child", msgspec.json.encode(order).decode()]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*words, cwd=CHECKOUT, stdout=pipe, stderr=pipe)
    try:
        complaint, _ = await asyncio.gather(_read(child.stderr), _hear_out(child.stdout, hear))
        await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode, complaint.decode()[-2000:]


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None
    return await stream.read()


async def _hear_out(stream: asyncio.StreamReader | None, hear: Callable[[Verdict], None]) -> None:
    assert stream is not None
    async for line in stream:
        if line.startswith(b'{"number"'):
            hear(msgspec.json.decode(line, type=Verdict))


async def test_copy_is_what_the_provider_has_after_each_random_history(
    schema: Postgres, figure: Tell, progress: Progress
) -> None:
    names = providers()
    each = AT_LEAST if long_run() else -(-AT_LEAST // len(names))
    verdicts = {name: await play(name, schema, each, progress) for name in names}
    fired: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for verdict in (one for found in verdicts.values() for one in found):
        fired.update(verdict.fired)
        wrong.update(verdict.wrong)
    whole = sum(map(len, verdicts.values()))
    figure("histories", whole, "histories", each * len(names))
    for check in CHECKS:
        figure(f"histories_{check}", wrong[check], "objects", whole)
    figure("histories_faults", sum(count for kind, count in fired.items() if kind in FAULTS), "faults", whole)
    figure("histories_kills", sum(count for kind, count in fired.items() if "kill" in kind), "deaths", whole)
    told = [f"{name} {one.number}: {one.told}" for name, found in verdicts.items() for one in found if one.told]
    assert told == [], f"SLUICE_SEED={run_seed()}"
    assert whole == each * len(names) >= AT_LEAST
    assert troubles() - fired.keys() == set(), "a trouble never happened"


def test_every_provider_that_syncs_is_played(tmp_path: Path) -> None:
    for provider in providers():
        open_stage(provider, tmp_path / provider).close()
