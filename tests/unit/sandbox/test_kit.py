"""The kit does what its README says, with a stand-in that is nobody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.testing.eventually import eventually
from libs.sandbox.app import Sandbox
from libs.sandbox.contract import Answer, Control, Place, Request, as_json
from libs.sandbox.deliveries import Deliveries, loopback_of
from libs.sandbox.faults import Fault

ITEMS = b'{"items": [1, 2, 3, 4, 5, 6, 7, 8]}'


class Parrot:
    """Answers the same to everything, and counts what really reached it."""

    def __init__(self, place: Place) -> None:
        self.reached = 0

    def answer(self, request: Request) -> Answer:
        self.reached += 1
        return Answer(304 if request.headers.get("if-none-match") == "known" else 200, ITEMS)

    def refuse(self, fault: Fault, request: Request) -> Answer:
        return Answer(403, as_json({"said": fault.kind}))

    def controls(self) -> Mapping[str, Callable[[Control], object]]:
        return {"POST echo": lambda call: call.body, "GET reached": lambda _: self.reached}

    def close(self) -> None:
        return None


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    made = Sandbox(tmp_path, tmp_path / "state", {"parrot": Parrot})
    yield made
    await made.close()


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox), base_url="http://sandbox.test") as made:
        yield made


async def control(client: httpx.AsyncClient, verb: str, route: str, **body: Any) -> Any:
    answer = await client.request(verb, f"/_control/parrot/{route}", json=body or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_health_of_a_running_sandbox_names_its_providers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert answer.json() == {"status": "ok", "providers": ["parrot"]}


async def test_request_is_logged_with_query_status_size_and_etag(client: httpx.AsyncClient) -> None:
    await client.get("/parrot/things?page=2")
    await client.get("/parrot/things", headers={"if-none-match": "known"})
    log = await control(client, "GET", "requests")
    first, second = log["items"]
    assert (first["seq"], first["method"], first["path"]) == (1, "GET", "/parrot/things?page=2")
    assert (first["status"], first["bytes"], first["etag"]) == (200, len(ITEMS), None)
    assert (second["status"], second["etag"]) == (304, "hit")
    assert log["counts"] == {"total": 2, "notModified": 1, "byStatus": {"200": 1, "304": 1}}
    assert log["last"] == 2


async def test_log_asked_since_a_number_gives_only_what_is_newer(client: httpx.AsyncClient) -> None:
    for path in ("a", "b", "c"):
        await client.get(f"/parrot/{path}")
    assert [e["path"] for e in (await control(client, "GET", "requests?since=1"))["items"]] == [
        "/parrot/b",
        "/parrot/c",
    ]
    assert [e["seq"] for e in (await control(client, "GET", "requests?match=c$"))["items"]] == [3]


async def test_restarted_sandbox_keeps_its_log_also_after_half_a_line(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for expected in (0, 1):
        sandbox = Sandbox(tmp_path, state, {"parrot": Parrot})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox), base_url="http://s.test") as client:
            assert (await control(client, "GET", "requests"))["last"] == expected
            await client.get("/parrot/once")
        await sandbox.close()
        with (state / "parrot" / "requests.jsonl").open("ab") as log:
            log.write(b'{"seq": 9')


async def test_fault_fires_on_the_asked_match_as_often_as_asked(client: httpx.AsyncClient) -> None:
    await control(client, "POST", "faults", match="/things", kind="status", status=502, after=2, times=2, retryAfter=7)
    asked = ["things", "other", "things", "things", "things"]
    answers = [await client.get(f"/parrot/{path}") for path in asked]
    assert [answer.status_code for answer in answers] == [200, 200, 502, 502, 200]
    assert answers[2].headers["retry-after"] == "7"
    log = (await control(client, "GET", "requests"))["items"]
    assert [entry["fault"] for entry in log] == [None, None, "status", "status", None]


async def test_fault_said_by_the_provider_is_asked_of_its_stand_in(client: httpx.AsyncClient) -> None:
    await control(client, "POST", "faults", kind="secondary_limit")
    answer = await client.get("/parrot/things")
    assert (answer.status_code, answer.json()) == (403, {"said": "secondary_limit"})


async def test_reset_reaches_neither_client_nor_stand_in(client: httpx.AsyncClient) -> None:
    await control(client, "POST", "faults", kind="reset")
    with pytest.raises(ConnectionResetError):
        await client.post("/parrot/things")
    assert await control(client, "GET", "reached") == 0
    assert (await control(client, "GET", "requests"))["items"][0]["status"] == 0


async def test_hanging_request_goes_on_when_faults_are_removed(client: httpx.AsyncClient) -> None:
    await control(client, "POST", "faults", kind="hang", times=0)
    waiting = asyncio.ensure_future(client.get("/parrot/things"))

    async def fired() -> bool:
        return bool((await control(client, "GET", "faults"))["items"][0]["fired"])

    await eventually(fired)
    assert not waiting.done()
    assert await control(client, "DELETE", "faults") == {"removed": 1}
    with pytest.raises(ConnectionResetError):
        await waiting
    assert (await client.get("/parrot/things")).status_code == 200


@pytest.mark.parametrize(
    ("verb", "route", "body", "status"),
    [
        ("POST", "faults", b'{"kind": "boredom"}', 422),
        ("POST", "faults", b'{"kind": "status", "surprise": 1}', 422),
        ("POST", "faults", b'{"kind": "status", "match": "("}', 422),
        ("POST", "faults", b"[1]", 400),
        ("GET", "nothing", b"", 404),
        ("GET", "requests?since=yesterday", b"", 422),
        ("POST", "deliveries", b'{"id": 4}', 404),
    ],
)
async def test_control_call_that_makes_no_sense_is_refused_with_a_reason(
    client: httpx.AsyncClient, verb: str, route: str, body: bytes, status: int
) -> None:
    answer = await client.request(verb, f"/_control/parrot/{route}", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_unknown_provider_has_no_controls_and_no_mount(client: httpx.AsyncClient) -> None:
    assert (await client.get("/_control/nobody/requests")).status_code == 404
    assert (await client.get("/nobody/things")).status_code == 404


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:80/x", "127.0.0.1"),
        ("http://127.9.9.9/", "127.9.9.9"),
        ("http://[::1]:9/", "::1"),
        ("http://localhost:1234/x", "127.0.0.1"),
        ("https://127.0.0.1/", None),
        ("http://10.0.0.1/", None),
        ("http://example.com/", None),
        ("http://localhost.example.com/", None),
        ("http://2130706433/", None),
        ("file:///etc/passwd", None),
    ],
)
def test_hook_address_is_loopback_only_when_it_says_so_itself(url: str, address: str | None) -> None:
    assert loopback_of(url) == address


async def test_delivery_beyond_loopback_is_recorded_as_failed_and_never_sent(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "deliveries.jsonl")
    sent = deliveries.send(guid="g", event="e", url="http://192.0.2.1/x", headers={}, body=b"{}")
    await deliveries.close()
    assert (sent.state, sent.status) == ("failed", 0)
    assert "loopback" in (sent.error or "")
    again = Deliveries(tmp_path / "deliveries.jsonl")
    assert [(d.id, d.state) for d in again.listed()] == [(1, "failed")]
    await again.close()
