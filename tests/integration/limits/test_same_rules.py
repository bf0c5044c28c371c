"""The script in Redis against the rules in Python: whatever happens in whatever order, both answer the same."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.ids import new_id
from libs.common.limits.breaker import Breaker
from libs.common.limits.rules import Account, Answer, Flow, Lane, State, Terms, Told
from libs.common.limits.shared import LEASE_MS, Outcome, Place, Shared

START = 1_795_000_000_000
BEAT_MS = 5_000
LANES: list[Lane] = ["hint", "hook", "manual", "poll"]
OWNERS = ["one", "two"]


class Step(msgspec.Struct, frozen=True):
    """`settle` ends the call that was granted `which` ago."""

    verb: Literal["take", "settle", "beat"]
    after: int
    workspace: str = ""
    lane: Lane = "poll"
    owner: str = "one"
    which: int = 0
    outcome: Outcome = Outcome()


told = st.builds(
    Told, limit=st.sampled_from([5, 20, 100]), left=st.sampled_from([0, 1, 2, 3, 5, 6, 7, 20, 100]),
    reset=st.sampled_from([0, 500, 5_000, 6_500, 30_000]).map(lambda after: START + after),
)  # fmt: skip
outcomes = st.builds(
    Outcome, free=st.booleans(), told=st.none() | told, blocked_for=st.sampled_from([0, 0, 0, 700, 4_000]),
    failed=st.sampled_from([None, False, True, True]),
)  # fmt: skip
steps = st.builds(
    Step, verb=st.sampled_from(["take", "take", "take", "settle", "settle", "beat"]),
    after=st.sampled_from([0, 0, 1, 20, 300, 1_100, 6_000, 45_000]), workspace=st.sampled_from(["a", "b"]),
    lane=st.sampled_from(LANES), owner=st.sampled_from(OWNERS), which=st.integers(0, 4), outcome=outcomes,
)  # fmt: skip
terms = st.builds(
    Terms, limit=st.sampled_from([1, 3, 20, 100]), window=st.sampled_from([49, 1_000, 10_000]),
    concurrency=st.sampled_from([1, 2, 30]),
)  # fmt: skip


class Model:
    """What one process would do, with every replica's beats known to it."""

    def __init__(self, terms: Terms) -> None:
        self.account = Account(terms)
        self.breaker = Breaker()
        self.beats: dict[str, int] = {}

    def take(self, now: int, ticket: str, flow: Flow) -> Answer:
        closed_until = self.breaker.refuses(now)
        if closed_until:
            return Answer(reason="breaker", wait=closed_until - now, state=self.account.state(now))
        gone = {owner for owner, beat in self.beats.items() if beat < now - BEAT_MS}
        answer = self.account.take(now, ticket, flow, lease=LEASE_MS, gone=gone)
        return msgspec.structs.replace(answer, probe=answer.granted and self.breaker.enter(now))

    def settle(self, now: int, ticket: str, outcome: Outcome) -> tuple[State, int]:
        self.account.settle(now, ticket, free=outcome.free, told=outcome.told)
        if outcome.blocked_for:
            self.account.block(now + outcome.blocked_for)
        if outcome.failed is not None:
            self.breaker.note(now, failed=outcome.failed, probe=outcome.probe)
        return self.account.state(now), self.breaker.open_until


async def play(shared: Shared, terms: Terms, script: list[Step]) -> None:
    place = Place(account=new_id(), host=new_id(), terms=terms)
    owners = {owner: f"{owner}-{new_id()}" for owner in OWNERS}
    model, now, granted = Model(terms), START, list[tuple[str, bool]]()
    for number, step in enumerate(script):
        now += step.after
        owner = owners[step.owner]
        if step.verb == "beat":
            model.beats[owner] = now
            await shared.beat(owner, now=now)
        elif step.verb == "take":
            flow, ticket = Flow(step.workspace, step.lane), f"{owner}:{number}"
            expected: Any = model.take(now, ticket, flow)
            assert await shared.take(place, ticket, flow, holder="h", now=now) == expected, step
            if expected.granted:
                granted.append((ticket, expected.probe))
        elif granted:
            ticket, probe = granted.pop(-1 - step.which % len(granted))
            outcome = msgspec.structs.replace(step.outcome, probe=probe)
            expected = model.settle(now, ticket, outcome)
            assert await shared.settle(place, ticket, outcome, now=now) == expected, step


def test_script_answers_as_the_rules_do(valkey: Any) -> None:
    import asyncio

    with asyncio.Runner() as runner:
        shared = Shared(valkey.url, seconds=5.0)

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(terms=terms, script=st.lists(steps, min_size=1, max_size=60))
        def holds(terms: Terms, script: list[Step]) -> None:
            runner.run(play(shared, terms, script))

        holds()
        runner.run(shared.close())
