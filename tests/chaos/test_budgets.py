"""L08, L09 and the limiter of F09: replicas in processes of their own, and a provider that counts by its own clock."""

from __future__ import annotations

import asyncio
import time

import pytest

from libs.common.testing.eventually import eventually
from libs.local.ports import free_port
from libs.local.valkey import Valkey
from tests.support.figures import Progress, Tell, long_run
from tests.support.metered import Metered
from tests.support.running import Running
from tests.support.spenders import spending
from tests.support.stack import temporary_state

pytestmark = pytest.mark.timeout(90)

FLOWS = [[("a", "poll")] * 8 + [("a", "hint"), ("b", "manual"), ("b", "poll")] for _ in range(3)]


async def test_l08_thirty_two_workers_keep_to_the_limit_and_to_retry_after(valkey: Valkey, figure: Tell) -> None:
    flows = [own[:-1] if number == 0 else own for number, own in enumerate(FLOWS)]
    assert sum(map(len, flows)) == 32
    limit, window = 100, 10.0
    async with Metered(limit, window) as provider, spending(provider, valkey.url, flows=flows) as fleet:
        await eventually(lambda: len(provider.calls) >= 1.5 * limit, timeout=30)
        provider.retry_after = 2
        await eventually(lambda: fleet.told("told"), timeout=30)
        assert provider.refused_at
        come_back = provider.refused_at[0] + 2
        await eventually(lambda: provider.between(come_back, time.time()), timeout=30)
    told = fleet.told("told")[0]
    early = [call for call in provider.calls if told["at"] <= call.asked and call.at < come_back]
    most, used = provider.most_in_a_window(), provider.used(before=provider.refused_at[0])
    figure("L08_most", most, "calls_in_any_window", limit)
    figure("L08_used", round(used, 3), "of_the_limit", 0.9)
    figure("L08_before_retry_after", len(early), "calls", 0)
    assert most <= limit
    assert used >= (0.9 if long_run() else 0.7)  # a busy machine is slow to spend
    assert early == []
    assert [call.status for call in provider.calls if call.status == 429] == [429]


async def test_f09_without_redis_the_fleet_spends_no_more_than_a_fifth_above(figure: Tell) -> None:
    limit, window = 100, 3.0
    flows = [[("a", "poll")] * 4 for _ in range(3)]
    with temporary_state() as state:
        server = Valkey(state, free_port())
        redis = Running(server.spec(), state.logs)
        redis.start()
        try:
            async with Metered(limit, window) as provider, spending(provider, server.url, flows=flows) as fleet:
                await asyncio.sleep(0.6 * window)
                redis.kill()
                killed = time.time()
                await eventually(lambda: provider.most_in_a_window(after=killed + window) >= 0.5 * limit, timeout=30)
                alone = provider.most_in_a_window(after=killed + window)
                redis.start()
                await asyncio.sleep(0.8 * window)
                assert len(fleet.processes) == 3
        finally:
            redis.stop()
    most = provider.most_in_a_window()
    figure("F09_most_without_redis", most, "calls_in_any_window", limit)
    figure("F09_spent_without_redis", alone, "calls_in_a_window", limit)
    assert most <= 1.2 * limit


async def test_l09_outage_is_met_by_one_probe_and_ended_by_its_success(
    valkey: Valkey, figure: Tell, progress: Progress
) -> None:
    """Two replicas at a steady pace; the provider answers 503 for a while, ten minutes of it in the long run."""
    outage = 600.0 if long_run() else 5.0
    flows = [[("a", "poll"), ("b", "manual")] * 4 for _ in range(2)]
    async with (
        Metered(1_000_000, 10.0) as provider,
        spending(provider, valkey.url, flows=flows, rest=0.2) as fleet,
    ):
        began = time.time()
        await asyncio.sleep(2)
        fell = time.time()
        provider.down = True

        def lasted() -> bool:
            progress(round(time.time() - fell), round(outage), calls_since=len(provider.between(fell, time.time())))
            return time.time() - fell >= outage

        await eventually(lasted, timeout=outage + 30, interval=0.5)
        await eventually(lambda: sum(call.probe for call in provider.calls) >= 2, timeout=30)
        provider.down = False
        back = time.time()
        normal = len(provider.between(began, fell)) / (fell - began)

        def as_before() -> bool:
            return len(provider.between(time.time() - 1, time.time())) >= 0.95 * normal

        await eventually(as_before, timeout=60, interval=0.2)
        recovered = time.time() - back
        assert len(fleet.processes) == 2
    down = provider.between(fell, back)
    outbound = len(down) / (back - fell) / normal
    opened = min(call.asked for call in down if call.probe)
    probes = [call.at for call in down if call.probe or call.asked >= opened]
    crowd = max(sum(at <= other < at + 0.9 for other in probes) for at in probes)
    figure("L09_outbound_while_away", round(outbound, 2), "of_normal", 1.1)
    figure("L09_probes_a_second", crowd, "calls", 1)
    figure("L09_recovered", round(recovered, 1), "s", 60)
    assert outbound <= 1.1
    assert crowd <= 1
