"""What webhooks knows of one object: whether a hook watches it, and which deliveries named it."""

from __future__ import annotations

from typing import Any

from libs.common.ids import new_id
from tests.integration.webhooks.doubles import HooksApi
from tests.integration.webhooks.world import AUTH, World, recorded

ISSUE, REPOSITORY = recorded("issues__opened"), "186853002"


async def explain(world: World, *, resource: str = REPOSITORY, key: str = "issue:1") -> list[dict[str, Any]]:
    asked = {"resource": resource, "stream": "issues", "key": key}
    answer = await world.http.get(f"{world.path}/explain", params=asked, headers=AUTH)
    assert answer.status_code == 200, answer.text
    steps: list[dict[str, Any]] = answer.json()["steps"]
    return steps


async def publish(world: World) -> None:
    await world.admin.execute("UPDATE outbox SET seq = id, kafka_partition = 2, kafka_offset = id WHERE seq IS NULL")


def codes(steps: list[dict[str, Any]]) -> list[str]:
    return [step["code"] for step in steps]


async def test_delivery_that_named_an_object_is_told_with_its_place_in_the_log(world: World) -> None:
    posted = await world.post(ISSUE)
    await publish(world)
    _, heard = await explain(world)
    assert (heard["code"], heard["facts"]["deliveryId"]) == ("heard", posted.json()["deliveryId"])
    assert heard["facts"]["partition"] == 2
    assert heard["facts"]["offset"] == heard["facts"]["seq"]
    assert codes(await explain(world, key="issue:2")) == ["not_monitored", "not_heard"]
    assert codes(await explain(world, resource="7")) == ["not_monitored", "not_heard"]


async def test_integration_without_deliveries_says_that_nothing_came(world: World) -> None:
    (_, none) = await explain(world)
    assert (none["code"], none["at"]) == ("not_heard", None)
    assert "nothing was delivered" in none["detail"]


async def test_hook_of_the_resource_shows_how_it_stands(world: World, provider: HooksApi) -> None:
    await world.update(monitor=True)
    assert codes(await explain(world, resource="1"))[0] == "no_hook"
    await world.select()
    assert codes(await explain(world, resource="1"))[0] == "hook_registering"
    await world.run_jobs()
    hook = (await explain(world, resource="1"))[0]
    assert (hook["code"], hook["outcome"]) == ("hook_active", "passed")
    assert hook["facts"]["hookId"]


async def test_foreign_and_half_a_question_are_refused(world: World) -> None:
    asked = {"resource": "1", "stream": "issues", "key": "issue:1"}
    absent = await world.http.get(f"/v1/integrations/{new_id()}/explain", params=asked, headers=AUTH)
    half = await world.http.get(f"{world.path}/explain", params={"resource": "1"}, headers=AUTH)
    assert (absent.status_code, half.status_code) == (404, 422)
    assert half.json()["pointer"] in ("/stream", "/key")
