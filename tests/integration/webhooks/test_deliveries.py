"""Deliveries over HTTP: each refusal typed, each delivery stored once and told once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from libs.common.clock import FixedClock
from libs.common.ids import new_id
from libs.common.telemetry.metrics import value
from libs.common.testing.eventually import eventually
from tests.integration.webhooks.world import AUTH, World, recorded

ISSUE = recorded("issues__opened")
PUBLISHED_SECRET = "It's a Secret to Everybody"


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[1]


async def test_signed_delivery_is_stored_and_told_before_the_answer(world: World) -> None:
    answer = await world.post(ISSUE, key="guid-1")
    assert (answer.status_code, answer.json()["status"]) == (202, "handled")
    (row,) = await world.admin.fetch("SELECT * FROM delivery WHERE workspace_id = $1", world.workspace)
    (event,) = await world.told("webhook.received")
    payload = msgspec.json.decode(ISSUE)
    hint = {
        "resource_external_id": str(payload["repository"]["id"]),
        "stream": "issues",
        "keys": [f"issue:{payload['issue']['number']}"],
        "type": "issue",
    }
    assert (row["id"], row["body"], row["delivery_key"]) == (answer.json()["deliveryId"], ISSUE, "guid-1")
    assert (event["delivery_id"], event["hints"]) == (row["id"], [hint])


async def test_trace_of_the_request_goes_on_in_row_and_event(world: World) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {**world.headers(ISSUE), "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    await world.http.post(world.url, content=ISSUE, headers=headers)
    (event,) = await world.told("webhook.received")
    stored = await world.admin.fetchval("SELECT traceparent FROM delivery WHERE workspace_id = $1", world.workspace)
    assert event["traceparent"] == stored
    assert stored.split("-")[1] == trace


async def test_signature_and_other_headers_are_not_kept(world: World) -> None:
    headers = {**world.headers(ISSUE, key="guid-1"), "authorization": "Bearer canary", "x-other": "canary"}
    await world.http.post(world.url, content=ISSUE, headers=headers)
    stored = await world.admin.fetchval("SELECT headers FROM delivery WHERE workspace_id = $1", world.workspace)
    assert set(msgspec.json.decode(stored)) == {"content-type", "user-agent", "x-github-delivery", "x-github-event"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"x-hub-signature-256": ""}, id="empty"),
        pytest.param({"x-hub-signature-256": "sha256="}, id="prefix alone"),
        pytest.param({"x-hub-signature-256": "sha256=" + "0" * 64}, id="wrong"),
        pytest.param({"x-hub-signature-256": "sha256=é".encode()}, id="non-ASCII"),
        pytest.param({"x-hub-signature-256": b"sha256=\xff\xfe"}, id="not UTF-8"),
        pytest.param({"content-encoding": "gzip"}, id="signed over other bytes"),
    ],
)
async def test_wrongly_signed_delivery_is_refused_and_nothing_stored(world: World, change: dict[str, Any]) -> None:
    body = ISSUE if "content-encoding" not in change else b"\x1f\x8b" + ISSUE
    answer = await world.http.post(world.url, content=body, headers={**world.headers(ISSUE), **change})
    assert problem(answer) == (401, "signature_invalid")
    assert (await world.count("delivery"), await world.told("webhook.received")) == (0, [])


async def test_unsigned_delivery_is_refused_before_its_body_is_parsed(world: World) -> None:
    answer = await world.http.post(world.url, content=b"{not json")
    assert problem(answer) == (401, "signature_invalid")
    assert await world.count("delivery") == 0


async def test_another_endpoints_valid_signature_is_refused(world: World, deps: Any, http: Any, admin: str) -> None:
    other = await World.begin(deps, http, admin)
    try:
        answer = await world.post(ISSUE, secret=other.secret)
        assert problem(answer) == (401, "signature_invalid")
        assert await world.count("delivery") == 0
    finally:
        await other.end()


async def test_published_vector_passes_the_signature_and_fails_as_json(world: World) -> None:
    """Hello, World! is the documented body: it is signed well and is no JSON, so the refusal is 400, not 401."""
    await world.http.put(f"{world.path}/webhook-endpoint/secret", json={"secret": PUBLISHED_SECRET}, headers=AUTH)
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": signature, "x-github-event": "ping", "x-github-delivery": "guid"}
    answer = await world.http.post(world.url, content=b"Hello, World!", headers=headers)
    assert problem(answer) == (400, "malformed_payload")
    assert await world.count("delivery") == 0


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff", b""])
async def test_signed_body_that_is_no_json_object_is_malformed(world: World, body: bytes) -> None:
    assert problem(await world.post(body)) == (400, "malformed_payload")
    assert await world.count("delivery") == 0


@pytest.mark.parametrize(
    "path",
    ["/v1/hooks/github/unknown", "/v1/hooks/github/" + "x" * 500, "/v1/hooks/telepathy/{id}", "/v1/hooks/github"],
)
async def test_unknown_endpoint_and_provider_are_not_found(world: World, path: str) -> None:
    answer = await world.http.post(
        path.format(id=world.url.rsplit("/", 1)[1]), content=ISSUE, headers=world.headers(ISSUE)
    )
    assert problem(answer) == (404, "not_found")


async def test_endpoint_of_a_disconnected_integration_is_not_found(world: World, clock: FixedClock) -> None:
    await world.disconnect()
    assert problem(await world.post(ISSUE)) == (404, "not_found")
    assert await world.count("delivery") == 0


async def test_body_over_the_providers_cap_is_too_large(world: World) -> None:
    body = b" " * 25_000_001
    assert problem(await world.post(body)) == (413, "payload_too_large")

    async def chunks() -> Any:
        for _ in range(26):
            yield b" " * 1_000_000

    answer = await world.http.post(world.url, content=chunks(), headers=world.headers(b""))
    assert problem(answer) == (413, "payload_too_large")
    assert await world.count("delivery") == 0


async def test_twenty_parallel_posts_of_one_delivery_are_one_row_and_one_event(world: World) -> None:
    answers = await asyncio.gather(*(world.post(ISSUE, key="guid-1") for _ in range(20)))
    found = sorted((answer.status_code, answer.json()["status"]) for answer in answers)
    assert found == [(200, "duplicate")] * 19 + [(202, "handled")]
    assert (await world.count("delivery"), len(await world.told("webhook.received"))) == (1, 1)


async def test_many_different_deliveries_at_once_are_all_stored_and_told(world: World) -> None:
    bodies = [msgspec.json.encode({**msgspec.json.decode(ISSUE), "mark": number}) for number in range(60)]
    answers = await asyncio.gather(*(world.post(body) for body in bodies))
    assert {answer.status_code for answer in answers} == {202}
    told = {event["delivery_id"] for event in await world.told("webhook.received")}
    assert told == {answer.json()["deliveryId"] for answer in answers}
    assert await world.count("delivery") == 60


async def test_replay_of_body_and_signature_under_a_new_id_has_no_second_effect(world: World) -> None:
    await world.post(ISSUE, key="guid-1")
    answer = await world.post(ISSUE, key="guid-2")
    assert (answer.status_code, answer.json()) == (200, {"status": "duplicate"})
    assert (await world.count("delivery"), len(await world.told("webhook.received"))) == (1, 1)


async def test_captured_body_under_another_events_name_neither_acts_nor_blocks_the_real_one(world: World) -> None:
    """The event's name is not signed: a relabelled copy that comes first must not swallow the delivery."""
    relabelled = await world.post(ISSUE, event="push", key="guid-1")
    renamed = await world.post(ISSUE, event="star", key="guid-2")
    genuine = await world.post(ISSUE, event="issues", key="guid-3")
    assert [one.json()["status"] for one in (relabelled, renamed, genuine)] == ["unknown", "ignored", "handled"]
    assert [event["event"] for event in await world.told("webhook.received")] == ["issues"]


@pytest.mark.parametrize(("event", "status"), [("ping", "ignored"), ("telepathy", "unknown")])
async def test_delivery_that_means_nothing_is_stored_counted_and_not_told(
    world: World, event: str, status: str
) -> None:
    before = value("webhook_deliveries_total", provider="github", outcome=status)
    answer = await world.post(b"{}", event=event)
    assert (answer.status_code, answer.json()["status"]) == (202, status)
    assert value("webhook_deliveries_total", provider="github", outcome=status) == before + 1
    assert (await world.count("delivery"), await world.told("webhook.received")) == (1, [])


async def test_form_delivery_is_verified_raw_and_read(world: World) -> None:
    body = b"payload=" + "".join(f"%{byte:02X}" for byte in ISSUE).encode()
    headers = {**world.headers(body), "content-type": "application/x-www-form-urlencoded"}
    answer = await world.http.post(world.url, content=body, headers=headers)
    assert answer.json()["status"] == "handled"


async def test_endpoint_erased_under_a_waiting_delivery_refuses_it_and_stores_its_neighbour(
    world: World, deps: Any, http: Any, admin: str
) -> None:
    """Both were verified against kept secrets and share one batch; only the erased one's is refused."""
    other = await World.begin(deps, http, admin)
    try:
        await world.post(b'{"first": 1}', event="ping")
        await other.post(b'{"first": 1}', event="ping")
        await other.admin.execute("DELETE FROM endpoint WHERE workspace_id = $1", other.workspace)
        refused, stored = await asyncio.gather(other.post(ISSUE), world.post(ISSUE))
        assert (problem(refused), stored.status_code) == ((404, "not_found"), 202)
    finally:
        await other.end()


async def test_postgres_that_is_locked_out_answers_no_2xx(world: World) -> None:
    """Nothing may be acknowledged that is not committed: the answer waits for the lock."""
    await world.post(b"{}", event="ping", key="guid-0")
    async with world.admin.transaction():
        await world.admin.execute("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE")
        posting = asyncio.create_task(world.post(ISSUE, key="guid-1"))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'webhooks.delivery'::regclass"
        await eventually(lambda: _positive(world, waiting))
        assert not posting.done()
    assert (await posting).status_code == 202


async def _positive(world: World, sql: str) -> bool:
    return bool(await world.admin.fetchval(sql))


async def test_ids_of_endpoints_are_not_guessable(world: World) -> None:
    assert len(world.url.rsplit("/", 1)[1]) == 32
    assert new_id() not in world.url
