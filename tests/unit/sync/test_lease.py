"""A lease outlives what says nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from libs.common.errors import Contended, DependencyDown, LeaseLost, SluiceError
from services.sync.repository import leases
from services.sync.workers.lease import under_lease


class Beats:
    """Stands for the database: each beat has the next of these outcomes, and the last one for ever."""

    def __init__(self, *outcomes: bool | SluiceError) -> None:
        self.outcomes = list(outcomes)
        self.heard = asyncio.Event()

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[None]:
        yield

    async def beat(self, *_: Any, **__: Any) -> bool:
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if len(self.outcomes) == 1:
            self.heard.set()
        if isinstance(outcome, SluiceError):
            raise outcome
        return outcome


def deps_of(beats: Beats, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(leases, "beat", beats.beat)
    return SimpleNamespace(db=beats, settings=SimpleNamespace(sync_lease_seconds=0.003), lease=timedelta(seconds=0.003))


@pytest.mark.parametrize("passing", [Contended(), DependencyDown("away")])
async def test_beat_that_finds_no_answer_leaves_the_work_alone(
    passing: SluiceError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of ours that takes long to commit holds the row that the beat waits for."""
    beats = Beats(passing, passing, passing, True)

    async def work() -> str:
        await beats.heard.wait()
        return "committed"

    assert await under_lease(deps_of(beats, monkeypatch), "work", "r", 1, work()) == "committed"


async def test_work_of_a_lost_lease_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(LeaseLost):
        await under_lease(deps_of(Beats(Contended(), False), monkeypatch), "work", "r", 1, work())
    assert ended == ["cancelled"]
