"""Items that did not fit: shown, tried again by key or with their stream, and never an excuse to delete."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from libs.providers.github.tests.played import Answered
from services.sync.use_cases.asking import sync_integration
from services.sync.workers.executor import Executor
from tests.integration.sync.conftest import API_KEY
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine
from tests.integration.sync.hub import Hub
from tests.integration.sync.test_github_sweeps import FEATURES, MANY, sweep


async def shown(api: httpx.AsyncClient, engine: Engine, **asked: Any) -> list[dict[str, Any]]:
    answer = await api.get(f"/v1/integrations/{engine.integration}/quarantine", params=asked)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_items_are_shown_page_by_page_and_a_retry_resolves_what_fits_by_then(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    repo = world.repo("r1", items=5)
    for number in (2, 4):
        repo.items[number]["title"] = None
    await engine.sync(features=("issues",))
    url = f"/v1/integrations/{engine.integration}/quarantine"
    first = (await api.get(url, params={"limit": 1})).json()
    rest = (await api.get(url, params={"cursor": first["nextCursor"]})).json()
    items = first["items"] + rest["items"]
    assert [(one["key"], one["code"], one["attempts"]) for one in items] == [
        ("item:2", "contract_broken", 1),
        ("item:4", "contract_broken", 1),
    ]
    assert await engine.one("SELECT last_complete_at FROM resource") is None

    repo.put(2)
    resource = items[0]["resourceId"]
    asked = await api.post(f"{url}/retry", json={"resource": resource})
    assert (asked.status_code, asked.json()) == (202, {"keys": ["item:2", "item:4"], "streams": []})
    await engine.dirty()
    assert [(one["key"], one["attempts"]) for one in await shown(api, engine)] == [("item:4", 2)]
    assert "item:2" in await engine.sources()

    refused = await api.post(f"{url}/retry", json={"resource": resource, "keys": ["item:9"]})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/keys")
    assert (await api.post(f"{url}/retry", json={"resource": "nothing"})).status_code == 404


async def test_looks_try_due_items_again_later_and_later(engine: Engine, world: World, api: httpx.AsyncClient) -> None:
    repo = world.repo("r1", items=3)
    repo.items[2]["title"] = None
    await engine.sync(features=("issues",))
    await engine.again()
    assert await engine.dirty() == 0
    waits = []
    for _ in range(3):
        await engine.admin.execute("UPDATE quarantined_item SET retry_at = now() - interval '1 second'")
        await engine.again()
        assert await engine.dirty() == 1
        waits.append(await engine.one("SELECT retry_at - last_seen_at FROM quarantined_item"))
    assert waits == sorted(waits)
    assert waits[0] * 2 == waits[1]
    repo.put(2)
    await engine.admin.execute("UPDATE quarantined_item SET retry_at = now() - interval '1 second'")
    await engine.again()
    await engine.dirty()
    assert await shown(api, engine) == []


class Spoiled:
    """GitHub with one comment that does not fit, in every list and by itself."""

    def __init__(self, hub: Hub, field: str) -> None:
        self.real, self.field, self.broken = hub.wire.request, field, True
        hub.wire.request = self.request  # type: ignore[method-assign]

    async def request(self, method: str, url: str, **given: Any) -> Answered:
        answer = await self.real(method, url, **given)
        if not self.broken or "/issues/comments" not in url or answer.status != 200:
            return answer
        body = msgspec.json.decode(answer.body)
        for one in [body] if isinstance(body, dict) else body[:1]:
            one["created_at"] = 7
            if self.field == "id":
                one["id"] = "none"
        return Answered(answer.status, answer.headers, msgspec.json.encode(body), answer.url)


CANARY = "ghp_canaryCANARYcanary0123456789abcdef"


async def test_failing_answer_is_kept_without_a_secret_while_an_operator_asks_for_it(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    repo = world.repo("r1", items=3)
    repo.items[2]["title"] = None
    repo.items[3]["body"] = f"{CANARY} token-1 https://files.test/a?signature={CANARY} \x00"
    url = f"/v1/integrations/{engine.integration}/captured-pages"
    await engine.sync(features=("issues",))
    assert (await api.get(url)).json() == {"items": []}

    settings = msgspec.structs.replace(engine.settings, sync_capture_pages="failing")
    replica = engine.replica(settings)
    repo.put(1, title="Again")
    await sync_integration(engine.integration, deps=replica, workspace=engine.workspace, full=True)
    await engine.admin.execute("UPDATE resource_stream SET cursor = NULL")
    await engine.admin.execute("DELETE FROM validator")
    while await Executor(replica).step():
        pass
    await replica.db.close()
    [listed] = (await api.get(url)).json()["items"]
    assert [listed[name] for name in ("stream", "code", "status", "body")] == ["items", "contract_broken", 200, None]
    page = (await api.get(f"/v1/captured-pages/{listed['id']}")).json()
    assert "Item 3" in page["body"]
    everything = await engine.admin.fetchval("SELECT string_agg(p::text, '') FROM captured_page p")
    for secret in (CANARY, "token-1", "signature="):
        assert secret not in everything
    assert (await api.get("/v1/captured-pages/nothing")).status_code == 404

    await engine.admin.execute("UPDATE captured_page SET expires_at = now() - interval '1 minute'")
    await engine.admin.execute("UPDATE cleanup SET run_at = now()")
    await engine.clean()
    assert await engine.one("SELECT count(*) FROM captured_page") == 0


async def begin(hub: Hub) -> None:
    await hub.control("seed", {"repository": MANY, "issues": 4, "comments": 1})
    await hub.sync(MANY, features=FEATURES)


async def test_comment_that_did_not_fit_comes_with_its_issue_once_it_does(hub: Hub) -> None:
    spoiled = Spoiled(hub, "created_at")
    await begin(hub)
    [key] = [row["key"] for row in await hub.admin.fetch("SELECT key FROM quarantined_item WHERE by_key")]
    assert await hub.one("SELECT count(*) FROM source_part WHERE part_key = $1", key) == 0
    await sweep(hub)
    assert await hub.one("SELECT state FROM sweep WHERE stream = 'comments' ORDER BY id DESC LIMIT 1") == "incomplete"
    spoiled.broken = False
    await hub.admin.execute("UPDATE quarantined_item SET retry_at = now()")
    await hub.again()
    await hub.dirty()
    assert await hub.one("SELECT count(*) FROM quarantined_item") == 0
    assert await hub.one("SELECT count(*) FROM source_part WHERE part_key = $1", key) == 1


async def test_item_that_nothing_names_is_read_again_with_its_stream(hub: Hub) -> None:
    spoiled = Spoiled(hub, "id")
    await begin(hub)
    row = await hub.admin.fetchrow("SELECT resource_id, key, by_key FROM quarantined_item")
    assert row is not None
    assert (row["key"], row["by_key"]) == ("comment:unreadable", False)
    spoiled.broken = False
    transport = httpx.ASGITransport(app=hub.app())  # type: ignore[arg-type]  # ASGI by two names
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sync", headers=headers) as api:
        url = f"/v1/integrations/{hub.integration}/quarantine/retry"
        answer = await api.post(url, json={"resource": row["resource_id"]})
    assert answer.json() == {"keys": [], "streams": ["comments"]}
    await hub.work()
    assert await hub.one("SELECT count(*) FROM quarantined_item") == 0
    assert await hub.one("SELECT count(*) FROM source_part") == 4


async def test_items_of_hints_that_are_read_together_are_held_each_with_its_own_stream(
    engine: Engine, world: World, api: httpx.AsyncClient
) -> None:
    repo = world.repo("r1", items=2, files=2)
    await engine.sync()
    repo.items[2]["title"] = None
    unreadable: Any = 5
    repo.files["src/f0001.py"] = unreadable
    await engine.hint("r1", "items", "item:2")
    await engine.hint("r1", "tree", "file:src/f0001.py")
    assert await engine.dirty() == 1
    assert {one["key"]: one["stream"] for one in await shown(api, engine)} == {
        "item:2": "items", "file:src/f0001.py": "tree",
    }  # fmt: skip
