"""One lane in a process of its own: `python -m tests.chaos.histories.child`, told what to do by one JSON argument.

Each history that went wrong is made smaller and written down; one line of JSON a history says how it went.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec

from libs.local.postgres import Postgres
from libs.local.state import State
from tests.chaos.harness.history import History
from tests.chaos.histories.lane import open_lane
from tests.chaos.histories.making import Result, make_steps, run_history, shrink
from tests.chaos.histories.plays import open_stage


class Order(msgspec.Struct, kw_only=True):
    provider: str
    seed: int
    numbers: list[int]
    root: str
    port: int
    database: str


class Verdict(msgspec.Struct, kw_only=True):
    """`wrong` counts by checker; `told` is for whoever reads the failure."""

    number: int
    wrong: dict[str, int]
    fired: dict[str, int]
    told: str = ""


async def main(order: Order) -> None:
    postgres = Postgres(State.at(Path(order.root)), order.port)
    with tempfile.TemporaryDirectory() as place:
        async with open_lane(postgres, Path(place), order.database) as lane:
            stage = open_stage(order.provider, Path(place) / "stage")

            async def run(history: History) -> Result:
                return await run_history(lane, stage, history)

            for number in order.numbers:
                history = History(provider=order.provider, seed=order.seed, number=number)
                history.steps = make_steps(history)
                result = await run(history)
                told = "" if result.well else await _smallest(result, run)
                counts = {name: len(lines) for name, lines in result.wrong.items() if lines}
                _say(Verdict(number=number, wrong=counts, fired=dict(Counter(result.fired)), told=told))
            stage.close()


async def _smallest(result: Result, run: object) -> str:
    small = await shrink(result, run)  # type: ignore[arg-type]
    place = small.history.write()
    return f"{small.history.wrong[:3]} after {len(small.history.steps)} steps, see {place.name}"


def _say(verdict: Verdict) -> None:
    print(msgspec.json.encode(verdict).decode(), flush=True)


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Order)))
