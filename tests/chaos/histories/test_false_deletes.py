"""At every request of a first sync, a change and a sweep, each way to fail: nothing is deleted, and all comes right."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from libs.common.testing.plays import NotPossible
from tests.chaos.harness.history import History, Trouble
from tests.chaos.harness.wire import FAULTS
from tests.chaos.histories.lane import Lane
from tests.chaos.histories.plays import open_stage, providers
from tests.chaos.histories.walk import TIME_PASSES, Walk
from tests.support.figures import Progress, Tell, long_run

pytestmark = pytest.mark.timeout(600)

KINDS = ["401", "403", "404", "410", "429", "500", "503", "cut", "empty"]


def ways(at: int) -> list[Trouble]:
    """How the `at`-th request fails: in a long run in every way, once and three times; in CI in two, by turns."""
    if long_run():
        return [Trouble(kind=kind, at=at, times=times) for kind in FAULTS for times in (1, 3)]
    return [Trouble(kind=KINDS[(at + turn) % len(KINDS)], at=at) for turn in (0, 4)]


# Acts that make and change, at whichever provider has them: none of them takes anything away.
HARMLESS = ("open_issue", "comment", "open_pull", "push", "edit", "add")


class Course:
    """The same small world and the same course through it, again for each fault."""

    def __init__(self, lane: Lane, provider: str, state: Path) -> None:
        self.lane, self.provider, self.stage = lane, provider, open_stage(provider, state)
        self.seed = min(range(20), key=self._size)

    def _size(self, seed: int) -> int:
        return sum(map(len, self.stage.play(Random(seed)).truth().values()))

    async def run(self, trouble: Trouble | None) -> Walk:
        await self.lane.clear()
        play = self.stage.play(Random(self.seed))
        walk = Walk(self.lane, play, History(provider=self.provider, seed=0, number=0))
        if trouble is not None:
            walk.wire.arm(trouble)
        await walk.step_connect(Random(0))
        for act in HARMLESS:
            if act in play.acts:
                await self._happens(walk, act)
        await walk.step_sync(Random(0))
        await walk.step_sweep(Random(0))
        return walk

    async def _happens(self, walk: Walk, act: str) -> None:
        try:
            walk.pending += walk.play.do(act, Random(5)).deliveries
        except NotPossible as refused:
            raise AssertionError(f"{act} has to be possible in this world") from refused
        walk.watch.moment()

    async def heal(self, walk: Walk) -> None:
        walk.wire.heal()
        await self.lane.admin.execute(TIME_PASSES)
        await walk.come_to_rest()
        if not walk.selected:
            await walk.step_connect(Random(0))
        await walk.step_sync(Random(0))
        await walk.come_to_rest()


@pytest.mark.parametrize("provider", providers())
async def test_no_fault_at_any_request_deletes_anything(
    provider: str, lane: Lane, tmp_path: Path, figure: Tell, progress: Progress
) -> None:
    course = Course(lane, provider, tmp_path / "stage")
    requests = (await course.run(None)).wire.asked
    assert requests > 10
    runs = deletes = 0
    troubles = [one for at in range(1, requests + 1) for one in ways(at)]
    for trouble in troubles:
        walk = await course.run(trouble)
        deletes += await lane.admin.fetchval("SELECT count(*) FROM source WHERE tombstone")
        assert walk.wire.fired[trouble.kind] >= 1, trouble
        await course.heal(walk)
        wrong = await walk.watch.judge(walk.truth(), walk.play.hidden())
        assert not any(wrong.values()), (trouble, wrong)
        runs += 1
        progress(runs, len(troubles), deletes=deletes)
    figure(f"false_deletes_{provider}", deletes, "deletes", runs)
    assert deletes == 0
    course.stage.close()
