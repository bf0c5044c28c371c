"""What a person does over HTTP: the secret shown once, rotated, given; deliveries listed and replayed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from libs.common.clock import FixedClock
from tests.integration.webhooks.world import AUTH, World, recorded

ISSUE = recorded("issues__opened")
PING = b"{}"


async def ask(world: World, method: str, path: str, **named: Any) -> httpx.Response:
    return await world.http.request(method, path, headers=AUTH, **named)


async def statuses(world: World, *secrets: str) -> list[int]:
    return [(await world.post(PING, event="ping", secret=secret)).status_code for secret in secrets]


async def test_secret_is_shown_once_and_is_sealed_in_the_table(world: World) -> None:
    shown = (await ask(world, "GET", f"{world.path}/webhook-endpoint")).json()
    row = await world.admin.fetchrow("SELECT * FROM endpoint WHERE workspace_id = $1", world.workspace)
    assert row is not None
    assert len(world.secret) >= 32
    assert shown["secret"] is None
    assert world.secret.encode() not in msgspec.json.encode({key: str(value) for key, value in row.items()})
    assert world.secret.encode() not in row["secret_sealed"]


async def test_endpoint_tells_how_to_set_the_hook_up(world: World) -> None:
    shown = (await ask(world, "GET", f"{world.path}/webhook-endpoint")).json()
    assert shown["url"] == f"https://hooks.example/v1/hooks/github/{shown['id']}"
    assert (shown["signatureHeader"], shown["registration"]) == ("x-hub-signature-256", "api")
    assert len(shown["steps"]) == 3


async def test_rotated_secret_is_live_at_once_and_the_old_one_for_an_hour(world: World, clock: FixedClock) -> None:
    await statuses(world, world.secret)
    rotated = (await ask(world, "POST", f"{world.path}/webhook-endpoint/rotate")).json()["secret"]
    assert await statuses(world, rotated, world.secret) == [202, 202]
    clock.move(timedelta(minutes=59))
    assert await statuses(world, world.secret) == [202]
    clock.move(timedelta(minutes=2))
    assert await statuses(world, world.secret, rotated) == [401, 202]


async def test_second_rotation_ends_the_first_secret(world: World) -> None:
    first = world.secret
    second, third = [
        (await ask(world, "POST", f"{world.path}/webhook-endpoint/rotate")).json()["secret"] for _ in range(2)
    ]
    assert await statuses(world, third, second, first) == [202, 202, 401]


async def test_given_secret_is_used_and_never_shown(world: World) -> None:
    given = "a secret that the provider made"
    answer = await ask(world, "PUT", f"{world.path}/webhook-endpoint/secret", json={"secret": given})
    again = await ask(world, "PUT", f"{world.path}/webhook-endpoint/secret", json={"secret": given})
    assert given not in answer.text + again.text
    assert await statuses(world, given, world.secret) == [202, 202]


@pytest.mark.parametrize("secret", ["", "short", "x" * 513, "with a line\nbreak in the middle"])
async def test_weak_secret_is_refused_with_a_pointer(world: World, secret: str) -> None:
    answer = await ask(world, "PUT", f"{world.path}/webhook-endpoint/secret", json={"secret": secret})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/secret")
    assert await statuses(world, world.secret) == [202]


async def test_deliveries_are_listed_newest_first_in_pages(world: World) -> None:
    keys = [f"guid-{number}" for number in range(5)]
    for key in keys:
        await world.post(PING, event="ping", key=key)
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await ask(world, "GET", f"{world.path}/deliveries", params=params)).json()
        found += page["items"]
        cursor, pages = page["nextCursor"], pages + 1
    assert [item["deliveryKey"] for item in found] == keys[::-1]
    assert (pages, {item["outcome"] for item in found}, "body" in found[0]) == (3, {"ignored"}, False)


@pytest.mark.parametrize(("params", "pointer"), [({"cursor": "?"}, "/cursor"), ({"limit": "0"}, "/limit")])
async def test_invalid_page_is_refused_with_a_pointer(world: World, params: dict[str, str], pointer: str) -> None:
    answer = await ask(world, "GET", f"{world.path}/deliveries", params=params)
    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)


async def test_replayed_delivery_is_told_again_and_marked(world: World, clock: FixedClock) -> None:
    delivery = (await world.post(ISSUE)).json()["deliveryId"]
    clock.move(timedelta(seconds=1))
    answer = await ask(world, "POST", f"/v1/deliveries/{delivery}/replay")
    assert (answer.status_code, answer.json()["replayed"]) == (202, 1)
    first, second = await world.told("webhook.received")
    assert (first["delivery_id"], first["hints"]) == (second["delivery_id"], second["hints"])
    assert first["received_at"] < second["received_at"]  # by which sync knows that this is no repeat
    assert await world.count("delivery") == 1
    (item,) = (await ask(world, "GET", f"{world.path}/deliveries")).json()["items"]
    assert (item["replayed"], item["replayedAt"] is not None) == (1, True)


async def test_delivery_without_effect_cannot_be_replayed_and_is_not_marked(world: World) -> None:
    delivery = (await world.post(PING, event="ping")).json()["deliveryId"]
    answer = await ask(world, "POST", f"/v1/deliveries/{delivery}/replay")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/invalid_state")
    (item,) = (await ask(world, "GET", f"{world.path}/deliveries")).json()["items"]
    assert item["replayed"] == 0


ROUTES = [
    ("GET", "/v1/integrations/{id}/webhook-endpoint"),
    ("POST", "/v1/integrations/{id}/webhook-endpoint/rotate"),
    ("GET", "/v1/integrations/{id}/deliveries"),
    ("GET", "/v1/integrations/{id}/subscriptions"),
    ("POST", "/v1/deliveries/{id}/replay"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_unknown_id_is_not_found(world: World, method: str, path: str) -> None:
    answer = await ask(world, method, path.format(id="nowhere"))
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not_found")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_missing_key_is_unauthenticated(world: World, method: str, path: str) -> None:
    answer = await world.http.request(method, path.format(id=world.integration))
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
