"""What a run over GitHub says of its end while it is under way: the list of issues tells how many pages it has."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from libs.providers.github.tests.played import Answered
from tests.integration.sync.conftest import API_KEY
from tests.integration.sync.hub import Hub

MANY = "sandbox/many"
LIST = "/issues?state=all"


async def seen_on_the_way(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The run as its API shows it when the last page of the issues is asked for; at least one is stored by then."""
    real, shown = hub.wire.request, {}
    transport = httpx.ASGITransport(app=hub.app())  # type: ignore[arg-type]  # ASGI by two names
    headers = {"authorization": f"Bearer {API_KEY}"}

    async def look(method: str, url: str, **given: Any) -> Answered:
        if LIST in url and "page=3" in url:
            async with httpx.AsyncClient(transport=transport, base_url="http://sync", headers=headers) as api:
                run = await hub.one("SELECT id FROM run")
                shown.update((await api.get(f"/v1/sync-runs/{run}")).json())
        return await real(method, url, **given)

    monkeypatch.setattr(hub.wire, "request", look)
    await hub.sync(MANY, features=("issues",))
    return shown


async def test_first_sync_of_issues_tells_how_far_it_is(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await hub.control("seed", {"repository": MANY, "issues": 250, "comments": 0})
    shown = await seen_on_the_way(hub, monkeypatch)
    assert 0.3 < shown["progress"] < 0.7
    assert 100 <= shown["remaining"] <= 200
    assert 0 <= shown["secondsLeft"] < 60
    assert (await hub.run())["state"] == "succeeded"
