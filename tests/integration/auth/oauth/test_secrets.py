"""What a consent leaves behind while it runs and after it: no secret in the clear, no key without an end."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from urllib.parse import quote

import asyncpg
import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from services.auth.app import create_app, create_operations
from services.auth.deps import Deps
from services.auth.states import PREFIX, hash_of
from tests.integration.auth import provider_double
from tests.integration.auth.oauth.consenting import ENVIRON, Consent, message, told
from tests.integration.auth.provider_double import token_answer

Admin = asyncpg.Connection
CANARY = "tok-canary/7f3d+0f0a==~9c1e"
REFRESH = "refresh-canary/51ab+c0de==~77"


def written(secret: str) -> set[bytes]:
    """As it is, in base64 at every alignment, and in a URL; long enough a part of each to be no accident."""
    shapes = {secret, quote(secret, safe=""), quote(secret)}
    for pad in range(3):
        raw = b"x" * pad + secret.encode()
        shapes |= {code(raw).decode()[4:-4] for code in (b64encode, urlsafe_b64encode)}
    return {shape.encode() for shape in shapes} | {secret.encode().hex().encode()}


async def database(admin: Admin) -> bytes:
    """Every row of every table of the schema; bytes as hex and as they are."""
    tables = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'auth'")
    parts: list[bytes] = []
    for table in tables:
        for row in await admin.fetch(f'SELECT * FROM auth."{table["tablename"]}"'):
            parts += [value if isinstance(value, bytes) else str(value).encode() for value in row.values()]
    assert len(parts) > 50
    return b"\n".join([*parts, *(part.hex().encode() for part in parts)])


async def stored(redis: Redis) -> bytes:
    keys = [key async for key in redis.scan_iter("*")]
    return b"\n".join([*keys, *[await redis.get(key) or b"" for key in keys]])


class Heard:
    """Everything that the callers were answered."""

    def __init__(self, *clients: httpx.AsyncClient) -> None:
        self.texts: list[bytes] = []
        for client in clients:
            client.event_hooks["response"].append(self._note)

    async def _note(self, response: httpx.Response) -> None:
        await response.aread()
        self.texts += [response.content, str(response.headers.raw).encode()]


@pytest.mark.parametrize("callback", ["sluice", "application"])
async def test_canary_is_found_nowhere(
    flow: Consent, redis: Redis, admin: Admin, capsys: pytest.CaptureFixture[str], callback: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(provider_double.ACCOUNTS, CANARY, "acc-1")
    flow.provider.gives = token_answer(CANARY, refresh_token=REFRESH)
    heard, places = Heard(flow.api, flow.browser), []
    returned = await flow.consent(callback=callback, subject="user-1")
    places += [await database(admin), await stored(redis)]
    if callback == "sluice":
        body: dict[str, str] = {"attemptId": flow.attempt, "handle": message(await flow.callback())["handle"]}
        places += [await database(admin), await stored(redis)]
    else:
        body = returned
    done = await flow.complete(**body, subject="user-1")
    assert done.status_code == 200
    await flow.stands()
    await flow.api.post(f"/v1/integrations/{done.json()['id']}/check")
    assert b"http_requests_total" in (await flow.api.get("/metrics")).content
    printed = capsys.readouterr()
    logs = (printed.out + printed.err).encode()
    assert b"/v1/oauth/complete" in logs
    places += [await database(admin), await stored(redis), logs]
    secrets = [CANARY, REFRESH, returned["code"], ENVIRON["TRACKER_CLIENT_SECRET"]]
    found = [
        (secret, index)
        for secret in secrets for shape in written(secret) for index, place in enumerate(places) if shape in place
    ]  # fmt: skip
    assert found == []
    answers = b"\n".join(heard.texts)
    assert [secret for secret in secrets for shape in written(secret) if shape in answers] == []
    # The state goes to the browser and nowhere else; here only its hash is.
    assert [place for place in places if returned["state"].encode() in place] == []


async def test_control_shows_that_the_search_would_find_it() -> None:
    for pad in (b"", b"a", b"ab"):
        assert any(shape in b64encode(pad + CANARY.encode() + b"tail") for shape in written(CANARY))
    assert any(shape in quote(f"x={CANARY}").encode() for shape in written(CANARY))


async def test_every_key_has_the_prefix_a_hash_and_an_end(flow: Consent, redis: Redis) -> None:
    seen: list[tuple[bytes, int]] = []

    async def look() -> None:
        seen.extend([(key, await redis.ttl(key)) async for key in redis.scan_iter("*")])

    returned = await flow.consent()
    await look()
    handle = message(await flow.callback())["handle"]
    await look()
    assert [key.decode() for key, _ in seen] == [PREFIX + hash_of(returned["state"]), PREFIX + hash_of(handle)]
    (_, state), (_, parked) = seen
    assert 590 <= state <= 600
    assert 110 <= parked <= 120
    await flow.complete(attemptId=flow.attempt, handle=handle)
    await look()
    assert len(seen) == 2


async def test_page_tells_one_origin_and_lets_nobody_frame_it(flow: Consent) -> None:
    await flow.consent()
    page = await flow.callback()
    policy = page.headers["content-security-policy"]
    [nonce] = {part.split("'")[1].removeprefix("nonce-") for part in policy.split(";") if "nonce-" in part}
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.text.count(f'nonce="{nonce}"') == page.text.count("<script") + page.text.count("<style") == 2
    headers = {name: page.headers[name] for name in ("cache-control", "referrer-policy", "x-frame-options")}
    assert headers == {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-frame-options": "DENY"}
    assert page.headers["cross-origin-opener-policy"] == "unsafe-none"
    assert told(page)["origin"] == "http://localhost:5173"
    assert flow.returned["code"] not in page.text
    assert flow.returned["state"] not in page.text
    again = await flow.callback()
    assert nonce not in again.headers["content-security-policy"]


async def test_cookie_is_of_this_host_alone(flow: Consent) -> None:
    await flow.begin()
    started = await flow.start()
    cookie = started.headers["set-cookie"].lower()
    assert cookie.startswith("sluice-oauth=")
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "domain" not in cookie
    assert flow.location.split("?")[0] == "https://tracker.example/authorize"


async def test_cookie_of_an_https_installation_is_bound_to_its_host(flow: Consent, deps: Deps) -> None:
    settings = msgspec.structs.replace(deps.settings, public_url="https://sluice.example")
    shown = replace(deps, settings=settings)
    transport = httpx.ASGITransport(app=create_app(shown, create_operations(shown)))
    async with httpx.AsyncClient(transport=transport, base_url="https://sluice.example") as browser:
        await flow.consent()
        away = replace(flow, browser=browser)
        cookie = (await away.start()).headers["set-cookie"]
        assert cookie.startswith("__Host-sluice-oauth=")
        assert {"httponly", "secure", "samesite=lax", "path=/"} <= {part.strip() for part in cookie.lower().split(";")}
        assert "domain" not in cookie.lower()
        away.returned = flow.provider.consent(away.location)
        assert (await away.callback()).status_code == 200
