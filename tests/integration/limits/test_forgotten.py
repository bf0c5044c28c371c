"""Redis that forgot an account: what the callers knew of it stands, whoever of them comes first."""

from __future__ import annotations

from libs.common.ids import new_id
from libs.common.limits.rules import Flow, State, Terms
from libs.common.limits.shared import Outcome, Place, Shared

TERMS = Terms(limit=10, window=60_000, concurrency=5)
NOW = 1_795_000_000_000


async def test_answer_that_arrives_after_redis_forgot_brings_back_what_was_spent(shared: Shared) -> None:
    place = Place(account=new_id(), host=new_id(), terms=TERMS)
    known = State(used=10, blocked=NOW + 500)
    state, _ = await shared.settle(place, "me:1", Outcome(failed=False), seed=known, now=NOW)
    assert (state.used, state.blocked) == (10, NOW + 500)
    refused = await shared.take(place, "me:2", Flow("w", "hint"), holder="h", now=NOW + 600)
    assert refused.reason == "budget"


async def test_nothing_is_kept_for_ever(shared: Shared) -> None:
    place = Place(account=new_id(), host=new_id(), terms=TERMS)
    await shared.beat("me")
    assert (await shared.take(place, "me:1", Flow("w", "hint"), holder="h")).granted
    await shared.settle(place, "me:1", Outcome(failed=True))
    lasting = [await shared._redis.pttl(key) for key in place.keys()]
    assert all(0 < ttl <= 24 * 3_600_000 for ttl in lasting), lasting
