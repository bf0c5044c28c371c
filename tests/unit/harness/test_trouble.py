"""What the harness breaks, it breaks where it was told to, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.errors import ProviderUnavailable
from libs.common.testing.crashpoints import ProcessDied
from tests.chaos.harness.history import History, Step, Trouble
from tests.chaos.harness.life import ASKED, Life
from tests.chaos.harness.wire import FAULTS, BreakableWire, Broken
from tests.chaos.histories.making import Result, make_steps, shrink


class Whole:
    async def request(self, method: str, url: str, **given: Any) -> Broken:
        return Broken(200, b'{"whole": true}', {}, url)


def wire(life: Life | None = None) -> BreakableWire:
    alive = life or Life()
    return BreakableWire(Whole(), lambda: alive)


async def answers(broken: BreakableWire, count: int) -> list[int]:
    return [(await broken.request("GET", "u")).status for _ in range(count)]


async def test_fault_meets_the_requests_it_was_armed_for() -> None:
    broken = wire()
    await broken.request("GET", "u")
    broken.arm(Trouble(kind="503", at=2, times=2))
    assert await answers(broken, 4) == [200, 503, 503, 200]
    assert broken.fired == {"503": 2}


@pytest.mark.parametrize("kind", FAULTS)
async def test_each_fault_is_no_whole_answer(kind: str) -> None:
    broken = wire()
    broken.arm(Trouble(kind=kind, at=1))
    try:
        answer = await broken.request("GET", "u")
    except ProviderUnavailable:
        return
    assert (answer.status, answer.body) != (200, b'{"whole": true}')


async def test_something_else_happens_while_a_request_is_under_way() -> None:
    broken, seen = wire(), list[int]()

    async def meanwhile() -> None:
        seen.append(broken.asked)

    broken.meanwhile(Trouble(kind="meanwhile", at=2), meanwhile)
    await answers(broken, 3)
    assert (seen, broken.fired) == ([2], {"meanwhile": 1})


async def test_the_dead_ask_nothing_more() -> None:
    life = Life()
    broken = wire(life)
    life.die_at(ASKED, 2)
    await broken.request("GET", "u")
    for _ in range(2):
        with pytest.raises(ProcessDied):
            await broken.request("GET", "u")
    assert life.dead_at == ASKED


def test_same_seed_makes_the_same_history_and_another_seed_another() -> None:
    one, same, other = (History(provider="p", seed=seed, number=4) for seed in (1, 1, 2))
    assert make_steps(one) == make_steps(same) != make_steps(other)


async def test_wrong_history_is_made_as_small_as_what_is_wrong_with_it() -> None:
    steps = [Step(name="act", seed=n, trouble=Trouble(kind="401", at=1)) for n in range(20)]

    async def run(history: History) -> Result:
        seeds = {step.seed for step in history.steps}
        return Result(history=history, wrong={"stale": ["it is"] if {3, 17} <= seeds else []}, fired={})  # type: ignore[arg-type]

    small = await shrink(await run(History(provider="p", seed=1, number=1, steps=steps)), run)
    assert [(step.seed, step.trouble) for step in small.history.steps] == [(3, None), (17, None)]


def test_history_is_written_as_lines_that_say_how_each_step_ended(tmp_path: Any) -> None:
    history = History(provider="p", seed=1, number=2, wrong=["stale"])
    history.note(Step(name="sync", seed=5), "info", died="sync.page_pulled")
    lines = history.write(tmp_path).read_text().splitlines()
    assert '"SLUICE_SEED":1' in lines[0]
    assert '"outcome":"info"' in lines[1]
