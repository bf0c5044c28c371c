"""Random work at every provider, faults and deaths on the way: in the end the copy is what the provider has."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
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
from tests.support.figures import Tell, long_run

pytestmark = pytest.mark.timeout(3000 if long_run() else 900)

AT_LEAST = 500  # in CI all providers together, in a long run each
CHECKS = ("missing", "extra", "stale", "duplicate", "version_regression", "lost_event", "false_delete", "raised")
LANES = max(2, min(4, os.cpu_count() or 2))


def troubles() -> set[str]:
    """Every kind of fault, every crash point of sync, and a death at a request and on both sides of a commit."""
    points = {*crashpoints([CHECKOUT / "services" / "sync"]), ASKED, COMMITTING, COMMITTED}
    return {*FAULTS, *MEANWHILE, *(f"kill {point}" for point in points)}


async def play(provider: str, postgres: Postgres, count: int) -> list[Verdict]:
    orders = [
        Order(
            provider=provider, seed=run_seed(), numbers=list(range(lane, count, LANES)), root=str(postgres.state.root),
            port=postgres.port, database=f"{provider}_{lane}",
        )
        for lane in range(LANES)
    ]  # fmt: skip
    lanes = await asyncio.gather(*map(_lane, orders))
    complaints = [complaint for code, _, complaint in lanes if code]
    assert complaints == []
    lines = [line for _, said, _ in lanes for line in said.splitlines() if line.startswith(b'{"number"')]
    return [msgspec.json.decode(line, type=Verdict) for line in lines]


async def _lane(order: Order) -> tuple[int | None, bytes, str]:
    """(code, what it said, its complaint)"""
    words = [sys.executable, "-m", "tests.chaos.histories.child", msgspec.json.encode(order).decode()]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*words, cwd=CHECKOUT, stdout=pipe, stderr=pipe)
    try:
        said, complaint = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode, said, complaint.decode()[-2000:]


async def test_copy_is_what_the_provider_has_after_each_random_history(schema: Postgres, figure: Tell) -> None:
    names = providers()
    each = AT_LEAST if long_run() else -(-AT_LEAST // len(names))
    verdicts = {name: await play(name, schema, each) for name in names}
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
