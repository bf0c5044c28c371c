"""What was followed change by change and what is listed from nothing are the same set, at every provider."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from libs.common.testing.plays import NotPossible
from tests.chaos.harness.checkers import Kept
from tests.chaos.harness.history import History, run_seed
from tests.chaos.histories.lane import Lane
from tests.chaos.histories.plays import open_stage, providers
from tests.chaos.histories.walk import Walk
from tests.support.figures import Progress, Tell, sized

pytestmark = pytest.mark.timeout(240)

HISTORIES = sized(15, 100)
CHANGES = 12


async def followed(walk: Walk, dice: Random) -> None:
    """Connected, then every change with its hints; nothing is lost and nothing is listed anew."""
    await walk.step_connect(dice)
    for _ in range(CHANGES):
        try:
            await walk.step_act(dice)
        except NotPossible:
            continue
        if dice.random() < 0.5:
            walk.play.heal()  # a hint about what is out of sight is dropped: sweeps find what it said
            await told(walk)
    walk.play.heal()
    for _ in range(2):  # a site has to say twice that a page is not there any more
        await told(walk)
        await walk.step_sync(dice)
        await walk.come_to_rest()


async def told(walk: Walk) -> None:
    await walk.deliver(walk.pending)
    walk.pending = []
    await walk.step_work(Random(0))


async def listed(walk: Walk) -> None:
    await walk.step_connect(Random(0))
    await walk.come_to_rest()


def plain(kept: list[Kept]) -> dict[object, object]:
    """What a reader sees of each: ids, versions and the provider's validators are each copy's own."""
    return {one.place: (one.content_hash, one.name, one.path, dict(one.parts)) for one in kept}


@pytest.mark.parametrize("provider", providers())
async def test_followed_and_freshly_listed_copies_are_the_same(
    provider: str, lane: Lane, tmp_path: Path, figure: Tell, progress: Progress
) -> None:
    stage, wrong, compared = open_stage(provider, tmp_path / "stage"), 0, 0
    for number in range(HISTORIES):
        await lane.clear()
        history = History(provider=provider, seed=run_seed(), number=number)
        play = stage.play(history.dice("listing"))
        first, second = Walk(lane, play, history), Walk(lane, play, history)
        await followed(first, history.dice("changes"))
        await listed(second)
        hidden = play.hidden()
        one, other = plain(await first.watch.kept(hidden)), plain(await second.watch.kept(hidden))
        assert one == other, (number, run_seed(), {key: (one.get(key), other.get(key)) for key in one | other})
        compared += len(one)
        wrong += one != other
        progress(number + 1, HISTORIES, seed=run_seed())
    figure(f"listings_{provider}", wrong, "sets", HISTORIES)
    assert compared > HISTORIES
    stage.close()
