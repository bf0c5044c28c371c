"""Histories from a seed: made, run, judged, and when one goes wrong made smaller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import msgspec

from libs.common.testing.plays import Stage
from tests.chaos.harness.history import History, Step, Trouble
from tests.chaos.harness.life import ASKED, COMMITTED, COMMITTING
from tests.chaos.harness.wire import FAULTS
from tests.chaos.histories.lane import Lane
from tests.chaos.histories.walk import Walk

STEPS = {
    "act": 12, "deliver": 2, "hints": 4, "sync": 4, "poll": 2, "sweep": 1.5, "work": 2, "time": 3, "pause": 0.5,
    "features": 0.7, "choose": 0.7, "connect": 0.4,
}  # fmt: skip
TROUBLED = ("hints", "sync", "poll", "sweep", "work", "connect")
MEANWHILE = ("meanwhile", "meanwhile hints")
POINTS = ("sync.page_pulled", "sync.page_committed", ASKED, COMMITTING, COMMITTED)
FEWEST, MOST = 8, 18
BLIND = 0.15  # share of histories that end with something out of sight


class Result(msgspec.Struct, kw_only=True):
    """`wrong` by checker; `fired` counts the troubles that really happened."""

    history: History
    wrong: dict[str, list[str]]
    fired: Counter[str]

    @property
    def well(self) -> bool:
        return not any(self.wrong.values())


def make_steps(history: History) -> list[Step]:
    dice = history.dice("steps")
    names = dice.choices(list(STEPS), list(STEPS.values()), k=dice.randint(FEWEST, MOST))
    steps = [Step(name=name, seed=dice.getrandbits(32), trouble=_trouble(name, dice)) for name in names]
    return [Step(name="connect", seed=1, trouble=_trouble("connect", dice)), *steps]


def _trouble(name: str, dice: Random) -> Trouble | None:
    chance = dice.random()
    if name not in TROUBLED or chance > 0.7:
        return None
    if chance < 0.4:
        return Trouble(kind=dice.choice(list(FAULTS)), at=dice.randint(1, 12), times=dice.choice([1, 1, 1, 3]))
    if chance < 0.55:
        return Trouble(kind=dice.choice(MEANWHILE), at=dice.randint(1, 8))
    point = dice.choice(POINTS)
    return Trouble(kind=f"kill {point}", at=dice.randint(1, 20 if point in (COMMITTED, COMMITTING) else 5))


async def run_history(lane: Lane, stage: Stage, history: History) -> Result:
    await lane.clear()
    play = stage.play(history.dice("play"))
    history.entries = []
    walk = Walk(lane, play, history)
    try:
        for step in history.steps:
            await walk.take(step)
        blind = history.dice("end").random() < BLIND
        await walk.heal(blind=blind)
        wrong = await walk.watch.judge(walk.truth(), play.hidden())
    except Exception as error:
        wrong = {"raised": [f"{type(error).__name__}: {error}"[:2000]]}
    history.wrong = [line for lines in wrong.values() for line in lines]
    fired = walk.wire.fired + Counter({f"kill {point}": count for point, count in walk.deaths.items()})
    return Result(history=history, wrong=wrong, fired=fired)


Run = Callable[[History], Coroutine[Any, Any, Result]]


async def shrink(result: Result, run: Run, most: int = 60) -> Result:
    """Leaves out steps and troubles as long as the same checkers complain; at most so many runs."""
    best, wanted = result, {name for name, lines in result.wrong.items() if lines}
    size, left = max(len(best.history.steps) // 2, 1), most
    while left > 0:
        smaller = None
        for steps in _smaller(best.history.steps, size):
            left -= 1
            tried = await run(msgspec.structs.replace(best.history, steps=steps))
            if wanted & {name for name, lines in tried.wrong.items() if lines}:
                smaller = tried
                break
            if left <= 0:
                break
        if smaller is not None:
            best = smaller
        elif size == 1:
            break
        else:
            size = max(size // 2, 1)
    return best


def _smaller(steps: list[Step], size: int) -> list[list[Step]]:
    cuts = [steps[:at] + steps[at + size :] for at in range(0, len(steps), size)]
    calmed = [
        [*steps[:at], msgspec.structs.replace(step, trouble=None), *steps[at + 1 :]]
        for at, step in enumerate(steps)
        if step.trouble is not None
    ]
    return cuts + (calmed if size == 1 else [])
