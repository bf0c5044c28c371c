"""Hooks of the played GitHub: who gets what, signed how, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from libs.common.testing.eventually import eventually
from libs.providers.github.sandbox.hooks import signature
from libs.providers.github.tests.sandbox.driven import FIXTURES, REPO, Driven

PUBLISHED_SECRET = "It's a Secret to Everybody"
PUBLISHED_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


class Receiver:
    """A plain HTTP server on loopback that keeps what it is sent; `status` is what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.url = ""

    async def __call__(self, reader: Any, writer: Any) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
        self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(f"HTTP/1.1 {self.status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()
    await server.wait_closed()


async def hook_to(hub: Driven, url: str, **config: str) -> httpx.Response:
    config = {"url": url, "content_type": "json", "secret": PUBLISHED_SECRET, **config}
    body = {"name": "web", "active": True, "events": ["push", "issues", "repository"], "config": config}
    answer = await hub.client.post(f"/github/api{REPO}/hooks", json=body)
    # The ping of a new hook is on its way; what a test sends next must not overtake it.
    await hub.delivered()
    return answer


def test_signature_is_the_published_one() -> None:
    assert signature(PUBLISHED_SECRET, b"Hello, World!") == PUBLISHED_SIGNATURE


async def test_change_is_delivered_signed_over_the_raw_body(hub: Driven, receiver: Receiver) -> None:
    made = await hook_to(hub, receiver.url)
    assert made.status_code == 201
    assert made.json()["config"]["secret"] == "********"
    pushed = await hub.change("push", files={"x.md": "# x"})
    await hub.delivered(*pushed["deliveries"])
    (ping, _), (headers, body) = receiver.got
    assert ping["x-github-event"] == "ping"
    assert headers["x-hub-signature-256"] == signature(PUBLISHED_SECRET, body)
    assert headers["user-agent"].startswith("GitHub-Hookshot/")
    assert (headers["x-github-event"], headers["x-github-hook-id"]) == ("push", str(made.json()["id"]))
    payload = json.loads(body)
    recorded = json.loads((FIXTURES / "webhooks" / "push__handmade_one_commit.json").read_text())
    assert recorded.keys() - payload.keys() <= {"installation"}
    assert (payload["before"], payload["after"]) == (pushed["before"], pushed["after"])
    assert payload["commits"][0]["added"] == ["x.md"]
    assert isinstance(payload["repository"]["pushed_at"], int)
    assert b"origin.invalid" not in body


async def test_form_hook_is_signed_over_the_encoded_form(hub: Driven, receiver: Receiver) -> None:
    await hook_to(hub, receiver.url, content_type="form")
    opened = await hub.change("open_issue", title="Ümlaut & co")
    await hub.delivered(*opened["deliveries"])
    headers, body = receiver.got[-1]
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["x-hub-signature-256"] == signature(PUBLISHED_SECRET, body)
    assert json.loads(parse_qs(body.decode())["payload"][0])["issue"]["title"] == "Ümlaut & co"


async def test_failed_delivery_is_listed_not_repeated_and_sent_again_with_its_guid(
    hub: Driven, receiver: Receiver
) -> None:
    hook = (await hook_to(hub, receiver.url)).json()["id"]
    receiver.status = 500
    opened = await hub.change("open_issue", title="Lost")
    (failed,) = await hub.delivered(*opened["deliveries"])
    assert (failed.state, failed.status) == ("failed", 500)
    listed = await hub.json(f"{REPO}/hooks/{hook}/deliveries?status=failure")
    assert [(d["guid"], d["status_code"], d["redelivery"]) for d in listed] == [(failed.guid, 500, False)]
    receiver.status = 202
    path = f"/github/api{REPO}/hooks/{hook}/deliveries/{listed[0]['id']}/attempts"
    assert (await hub.client.post(path)).status_code == 202
    await eventually(lambda: len(receiver.got) == 3)
    assert receiver.got[2][0]["x-github-delivery"] == receiver.got[1][0]["x-github-delivery"] == failed.guid
    again = await hub.control("POST", "deliveries", id=failed.id, headers={"X-Hub-Signature-256": None})
    await hub.delivered(again["id"])
    assert "x-hub-signature-256" not in receiver.got[3][0]


async def test_hook_that_github_would_refuse_is_refused(hub: Driven, receiver: Receiver) -> None:
    hook = (await hook_to(hub, receiver.url)).json()["id"]
    twice = await hook_to(hub, receiver.url)
    assert twice.status_code == 422
    assert twice.json()["errors"][0]["message"] == "Hook already exists on this repository"
    assert (await hook_to(hub, "https://example.com/hook")).status_code == 422
    path = f"/github/api{REPO}/hooks/{hook}"
    weak = (await hub.control("POST", "tokens", scopes=["write:repo_hook"]))["token"]
    await hub.change("edit_repository", private=False)
    bearer = {"authorization": f"Bearer {weak}"}
    assert (await hub.client.patch(path, json={"active": True}, headers=bearer)).status_code == 200
    assert (await hub.client.delete(path, headers=bearer)).status_code == 404
    assert (await hub.client.patch(path, json={"add_events": ["create"]})).json()["events"][0] == "create"
    assert (await hub.client.delete(path)).status_code == 204
    assert (await hub.change("open_issue", title="Nobody listens"))["deliveries"] == []


async def test_attempts_are_listed_newest_first_by_cursor_and_by_outcome(hub: Driven, receiver: Receiver) -> None:
    hook = (await hook_to(hub, receiver.url)).json()["id"]
    path = f"{REPO}/hooks/{hook}/deliveries"
    await hub.control("POST", "settings", deliverHooks=False)
    for at in range(4):
        await hub.change("open_issue", title=f"Dropped {at}")
    pages = await hub.pages(f"{path}?per_page=2")
    assert [len(page) for page in pages] == [2, 2, 1]
    ids = [one["id"] for page in pages for one in page]
    assert ids == sorted(ids, reverse=True)
    failed = [one for page in await hub.pages(f"{path}?per_page=3&status=failure") for one in page]
    assert [(one["status_code"], one["status"]) for one in failed] == [(502, "failed to connect to host")] * 4
    assert [one["event"] for one in await hub.json(f"{path}?status=success")] == ["ping"]
    assert (await hub.get(f"{path}?cursor=nonsense")).status_code == 400


async def test_attempt_is_made_only_for_who_may_write_hooks_and_fails_while_they_are_dropped(
    hub: Driven, receiver: Receiver
) -> None:
    hook = (await hook_to(hub, receiver.url)).json()["id"]
    await hub.control("POST", "settings", deliverHooks=False)
    (number,) = (await hub.change("open_issue", title="Dropped"))["deliveries"]
    again = f"/github/api{REPO}/hooks/{hook}/deliveries/{number}/attempts"
    reader = (await hub.control("POST", "tokens", scopes=["read:repo_hook"]))["token"]
    bearer = {"authorization": f"Bearer {reader}"}
    assert (await hub.client.post(again, headers=bearer)).status_code == 404
    assert (await hub.client.post(again)).status_code == 202
    listed = await hub.json(f"{REPO}/hooks/{hook}/deliveries?status=failure")
    assert [one["redelivery"] for one in listed] == [True, False]
    assert len({one["guid"] for one in listed}) == 1
    await hub.control("POST", "settings", clockAhead=3 * 24 * 3600)
    assert (await hub.client.post(again)).status_code == 404
    assert await hub.json(f"{REPO}/hooks/{hook}/deliveries") == []
