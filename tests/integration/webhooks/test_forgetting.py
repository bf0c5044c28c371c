"""Deliveries are forgotten after a while, and with their integration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import msgspec

from libs.common.clock import FixedClock
from libs.common.ids import new_id
from services.webhooks.deps import Deps
from services.webhooks.use_cases.forgetting import FORGET_DELIVERIES, forget_deliveries, forget_old
from tests.integration.webhooks.world import AUTH, World, recorded

ISSUE = recorded("issues__opened")


async def post(world: World, *keys: str) -> None:
    """Each with bytes of its own."""
    for key in keys:
        payload: dict[str, Any] = msgspec.json.decode(ISSUE)
        payload["issue"]["title"] = key
        assert (await world.post(msgspec.json.encode(payload), key=key)).status_code == 202


async def keys(world: World) -> list[str]:
    shown = (await world.http.get(f"{world.path}/deliveries", headers=AUTH)).json()["items"]
    return [one["deliveryKey"] for one in shown]


async def test_old_deliveries_go_and_the_last_of_an_integration_stays(
    world: World, deps: Deps, clock: FixedClock, http: httpx.AsyncClient, admin: str
) -> None:
    busy = [new_id() for _ in range(3)]
    await post(world, *busy[:2])
    quiet = await World.begin(deps, http, admin)
    await post(quiet, "old", "last")
    clock.move(timedelta(days=deps.settings.delivery_days, hours=1))
    await post(world, busy[2])
    assert await forget_old(deps=deps) is False
    assert await keys(world) == [busy[2]]
    assert await keys(quiet) == ["last"]
    await quiet.end()


async def test_deliveries_of_a_disconnected_integration_are_forgotten_at_once(world: World, deps: Deps) -> None:
    await post(world, "one", "two")
    await world.disconnect()
    kinds = await world.admin.fetch("SELECT kind FROM job WHERE workspace_id = $1", world.workspace)
    assert FORGET_DELIVERIES in {row["kind"] for row in kinds}
    await forget_deliveries(deps=deps, workspace=world.workspace, integration_id=world.integration)
    assert await world.count("delivery") == 0
