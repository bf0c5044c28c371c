"""What one account may spend, moment by moment."""

from __future__ import annotations

import pytest

from libs.common.limits.breaker import Breaker
from libs.common.limits.rules import WAITS, Account, Flow, Lane, Terms, Told

NOW = 1_795_000_000_000
POLL = Flow("a", "poll")


def account(limit: int = 100, window: int = 10_000, concurrency: int = 1_000) -> Account:
    return Account(Terms(limit=limit, window=window, concurrency=concurrency))


HINT = Flow("a", "hint")


def spend(made: Account, calls: int, at: int = NOW, flow: Flow = HINT, cost: int = 1) -> int:
    """How many of `calls` were granted; each ends at once."""
    granted = 0
    for number in range(calls):
        if made.take(at, f"me:{number}", flow, lease=1_000, cost=cost).granted:
            granted += 1
            made.settle(at, f"me:{number}", cost=cost)
    return granted


def told(made: Account, limit: int, left: int, reset: int, at: int = NOW) -> None:
    made.settle(at, "nobody:0", told=Told(limit=limit, left=left, reset=reset))


def test_workspaces_that_went_away_are_not_remembered() -> None:
    made = account(limit=10_000)
    for number in range(500):
        spend(made, 1, flow=Flow(f"once-{number}", "poll"))
    spend(made, 3)
    assert len(made._served) < 10


def test_window_that_nobody_told_lets_the_limit_through_in_any_window() -> None:
    made = account(limit=100, window=10_000)
    granted = [now for now in range(NOW, NOW + 40_000, 37) if spend(made, 1, now)]
    most = max(sum(start <= at < start + 10_000 for at in granted) for start in granted)
    assert most <= 100
    assert len(granted) >= 0.9 * 400


def test_headers_win_over_the_manifest() -> None:
    made = account(limit=100)
    told(made, limit=5_000, left=3, reset=NOW + 60_000)
    assert spend(made, 10) == 3
    assert made.take(NOW, "me:x", POLL, lease=1).wait == 60_000


def test_stale_header_of_the_same_window_never_raises_what_is_left() -> None:
    made = account()
    told(made, 100, 40, NOW + 60_000)
    told(made, 100, 20, NOW + 60_500)
    told(made, 100, 35, NOW + 60_000)
    assert made.state(NOW).left == 20


def test_header_of_an_older_window_is_ignored_and_of_a_newer_one_counts() -> None:
    made = account()
    told(made, 100, 40, NOW + 60_000)
    told(made, 100, 1, NOW + 5_000)
    assert made.state(NOW).left == 40
    told(made, 100, 90, NOW + 120_000)
    assert made.state(NOW).left == 90


def test_window_that_is_over_is_whole_again_without_a_header() -> None:
    made = account()
    told(made, 50, 0, NOW + 1_000)
    assert spend(made, 1) == 0
    assert spend(made, 99, NOW + 1_000) == 50


def test_answer_that_the_provider_does_not_count_gives_back_its_price() -> None:
    made = account()
    told(made, 100, 5, NOW + 60_000)
    made.take(NOW, "me:1", Flow("a", "hint"), lease=1_000)
    made.take(NOW, "me:2", Flow("a", "hint"), lease=1_000)
    made.settle(NOW, "me:1", free=True)
    made.settle(NOW, "me:2")
    assert made.state(NOW).left == 4


@pytest.mark.parametrize(("lane", "granted"), [("poll", 95), ("manual", 98), ("hint", 100)])
def test_backfill_leaves_a_share_to_requests_and_to_hints(lane: Lane, granted: int) -> None:
    made = account(limit=100)
    assert spend(made, 200, flow=Flow("a", lane)) == granted
    assert spend(made, 200, flow=Flow("b", "hint")) == 100 - granted


def test_nothing_is_granted_while_the_provider_asked_to_wait() -> None:
    made = account()
    made.block(NOW + 5_000)
    answer = made.take(NOW, "me:1", POLL, lease=1_000)
    assert (answer.reason, answer.wait) == ("blocked", 5_000)
    assert not made.take(NOW + 4_999, "me:1", POLL, lease=1_000).granted
    assert made.take(NOW + 5_000, "me:1", POLL, lease=1_000).granted


def test_slot_of_a_dead_owner_comes_back_and_so_does_one_whose_lease_is_over() -> None:
    made = account(concurrency=1)
    assert made.take(NOW, "dead:1", POLL, lease=40_000).granted
    assert made.take(NOW, "me:1", POLL, lease=40_000).reason == "slot"
    assert made.take(NOW, "me:1", POLL, lease=40_000, gone={"dead"}).granted
    assert made.take(NOW + 40_000, "me:2", POLL, lease=40_000).granted


def contest(made: Account, flows: dict[Flow, int], rounds: int) -> dict[Flow, int]:
    """One slot; every flow has so many askers who ask in each round, in the same order. Answers grants."""
    granted = dict.fromkeys(flows, 0)
    for number in range(rounds):
        now, holder = NOW + number * 10, None
        for flow, askers in flows.items():
            for _ in range(askers):
                if made.take(now, f"me:{number}", flow, lease=1_000).granted:
                    holder = flow
        if holder:
            granted[holder] += 1
            made.settle(now + 5, f"me:{number}")
    return granted


def test_workspace_with_a_hundred_askers_gets_no_more_than_its_share_while_another_waits() -> None:
    """L03 on the budget."""
    big, small = Flow("a", "poll"), Flow("b", "poll")
    granted = contest(account(limit=1_000_000, concurrency=1), {big: 100, small: 1}, rounds=200)
    assert granted[small] >= 90
    assert granted[big] >= 90


def test_hint_gets_its_turns_beside_a_backfill_of_its_own_workspace() -> None:
    backfill, hint = Flow("a", "poll"), Flow("a", "hint")
    granted = contest(account(limit=1_000_000, concurrency=1), {backfill: 50, hint: 1}, rounds=100)
    assert granted[hint] >= 45


def test_who_was_away_earned_nothing_and_who_stopped_waiting_holds_nobody() -> None:
    made = account(limit=1_000_000, concurrency=1)
    assert contest(made, {Flow("a", "poll"): 1}, rounds=500)[Flow("a", "poll")] == 500
    both = contest(made, {Flow("b", "poll"): 1, Flow("a", "poll"): 1}, rounds=100)
    assert abs(both[Flow("a", "poll")] - both[Flow("b", "poll")]) <= 10
    later = NOW + 10_000 + WAITS
    assert made.take(later, "me:x", Flow("a", "poll"), lease=1).granted


@pytest.mark.parametrize("replicas", [1, 3, 4])
def test_replicas_that_are_alone_together_spend_no_more_than_the_limit(replicas: int) -> None:
    shared = account(limit=100)
    spend(shared, 40)
    parts = [account(limit=100) for _ in range(replicas)]
    for part in parts:
        part.adopt(NOW, shared.state(NOW))
    assert 40 + sum(spend(part, 200, NOW + 1, cost=replicas) for part in parts) <= 100
    later = NOW + 11_000
    assert 85 <= sum(spend(part, 200, later, cost=replicas) for part in parts) <= 100


def test_account_that_was_not_met_lately_is_spent_by_a_fifth() -> None:
    made = account(limit=100)
    made.distrust(NOW)
    assert spend(made, 200) == 20
    learned = account()
    told(learned, 5_000, 4_000, NOW + 60_000)
    learned.distrust(NOW)
    assert learned.state(NOW).left == 1_000
    told(learned, 5_000, 3_000, NOW + 60_000)
    assert learned.state(NOW).left == 3_000


def test_account_of_fewer_calls_than_replicas_is_never_stuck() -> None:
    made = account(limit=1)
    assert spend(made, 5, cost=4) == 1
    assert spend(made, 5, NOW + 20_500, cost=4) == 1


def fail(made: Breaker, calls: int, *, failed: bool = True, at: int = NOW) -> None:
    for _ in range(calls):
        made.note(at, failed=failed, probe=False)


def test_breaker_opens_at_half_of_twenty_calls_and_not_before() -> None:
    made = Breaker()
    fail(made, 19)
    assert made.refuses(NOW) == 0
    fail(made, 1)
    assert made.refuses(NOW) == NOW + 1_000
    mostly_well = Breaker()
    fail(mostly_well, 30, failed=False)
    fail(mostly_well, 20)
    assert mostly_well.refuses(NOW) == 0


def test_failures_of_more_than_half_a_minute_ago_are_forgotten() -> None:
    made = Breaker()
    fail(made, 19)
    fail(made, 1, at=NOW + 33_000)
    assert made.refuses(NOW + 33_000) == 0


def test_one_probe_at_a_time_decides_for_all() -> None:
    made = Breaker()
    fail(made, 20)
    later = NOW + 1_000
    assert made.refuses(later) == 0
    assert made.enter(later)
    assert made.refuses(later) == later + 1_000
    made.note(later, failed=True, probe=True)
    assert made.refuses(later) == later + 2_000
    assert made.enter(later + 2_000)
    made.note(later + 2_000, failed=False, probe=False)  # under way since before it opened
    assert made.refuses(later + 2_000) > 0
    made.note(later + 2_000, failed=False, probe=True)
    assert made.refuses(later + 2_000) == 0
    assert not made.enter(later + 2_000)


def test_probes_grow_rarer_but_never_rarer_than_eight_seconds() -> None:
    made, now = Breaker(), NOW
    fail(made, 20)
    gaps = []
    for _ in range(6):
        now = made.open_until
        made.enter(now)
        made.note(now, failed=True, probe=True)
        gaps.append(made.open_until - now)
    assert gaps == [2_000, 4_000, 8_000, 8_000, 8_000, 8_000]


def test_probe_that_never_came_back_is_followed_by_another() -> None:
    made = Breaker()
    fail(made, 20)
    made.enter(NOW + 1_000)
    assert made.refuses(NOW + 10_999) > 0
    assert made.refuses(NOW + 11_000) == 0
