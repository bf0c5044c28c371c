"""What an outbound call promises besides its address: bounded time, bounded bodies, retries of what may be repeated."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import msgspec
import pytest
from tenacity import wait_none

from libs.common.errors import ProviderContractBroken, ProviderUnavailable
from libs.common.http.bodies import BodyTooLarge
from libs.common.http.client import OutboundClient
from libs.common.http.trust import trust
from tests.integration.http.canary import Canary, Seen, answer, listening


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with listening() as made:
        yield made


@pytest.fixture
async def client(canary: Canary) -> AsyncIterator[OutboundClient]:
    async with OutboundClient([canary.endpoint], "sluice-test/1", backoff=wait_none()) as made:
        yield made


async def test_answer_is_read_whole_with_its_headers(canary: Canary, client: OutboundClient) -> None:
    canary.script = lambda _: answer(404, b'{"a": 1}', ETag='"x"')
    response = await client.request("get", canary.url + "/p", params={"q": "a b"}, headers={"X-A": "1"})
    assert (response.status, response.headers["etag"], response.json(dict[str, int])) == (404, '"x"', {"a": 1})
    assert (canary.seen[0].target, canary.seen[0].headers["x-a"]) in {("/p?q=a+b", "1"), ("/p?q=a%20b", "1")}
    assert canary.seen[0].headers["user-agent"] == "sluice-test/1"


async def test_json_form_and_bytes_are_sent(canary: Canary, client: OutboundClient) -> None:
    await client.request("POST", canary.url, json={"a": [1]})
    await client.request("POST", canary.url, form={"a": "b c"})
    await client.request("PUT", canary.url, content=b"raw")
    sent = [(seen.headers.get("content-type"), seen.body) for seen in canary.seen]
    assert sent == [
        ("application/json", b'{"a":[1]}'),
        ("application/x-www-form-urlencoded", b"a=b+c"),
        (None, b"raw"),
    ]


async def test_foreign_shape_is_a_broken_contract_without_the_value(canary: Canary, client: OutboundClient) -> None:
    canary.script = lambda _: answer(200, b'{"a": "canary"}')
    response = await client.request("GET", canary.url)
    with pytest.raises(ProviderContractBroken) as caught:
        response.json(dict[str, int])
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_passing_failure_is_tried_again(canary: Canary, client: OutboundClient, status: int) -> None:
    canary.script = lambda _: answer(status) if len(canary.seen) < 3 else answer(200)
    assert (await client.request("GET", canary.url)).status == 200
    assert len(canary.seen) == 3


async def test_last_failing_answer_is_the_answer(canary: Canary, client: OutboundClient) -> None:
    canary.script = lambda _: answer(503, b"still down")
    response = await client.request("GET", canary.url, retries=1)
    assert (response.status, response.body, len(canary.seen)) == (503, b"still down", 2)


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 503), ("PATCH", 502), ("GET", 500), ("GET", 429), ("GET", 404)]
)
async def test_what_may_not_be_repeated_is_asked_once(
    canary: Canary, client: OutboundClient, method: str, status: int
) -> None:
    canary.script = lambda _: answer(status)
    assert (await client.request(method, canary.url)).status == status
    assert len(canary.seen) == 1


async def test_dropped_connection_is_tried_again_for_get_alone(canary: Canary, client: OutboundClient) -> None:
    canary.script = lambda _: b"" if len(canary.seen) < 3 else answer(200)
    assert (await client.request("GET", canary.url)).status == 200
    canary.seen.clear()
    with pytest.raises(ProviderUnavailable):
        await client.request("POST", canary.url)
    assert len(canary.seen) == 1


async def test_closed_port_is_unavailable_and_tells_no_query(client: OutboundClient, canary: Canary) -> None:
    async with listening() as gone:
        url = gone.url
    async with OutboundClient([url.removeprefix("http://")], backoff=wait_none()) as own:
        with pytest.raises(ProviderUnavailable) as caught:
            await own.request("GET", url + "/path-canary?token=canary")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_silence_ends_at_the_total_timeout(canary: Canary, client: OutboundClient) -> None:
    hung = asyncio.Event()

    async def silent(_seen: Seen) -> bytes:
        await hung.wait()
        return b""

    canary.script = silent
    started = asyncio.get_running_loop().time()
    with pytest.raises(ProviderUnavailable):
        await client.request("GET", canary.url, timeout=0.2)
    hung.set()
    assert asyncio.get_running_loop().time() - started < 2


async def test_retries_and_redirects_share_one_timeout(canary: Canary) -> None:
    canary.script = lambda _: answer(503)
    async with OutboundClient([canary.endpoint], attempts=10_000) as client:
        with pytest.raises(ProviderUnavailable):
            await client.request("GET", canary.url, timeout=0.3)


@pytest.mark.parametrize("size", [10_001, 5_000_000])
async def test_body_past_the_cap_is_refused(canary: Canary, client: OutboundClient, size: int) -> None:
    canary.script = lambda _: answer(200, b"x" * size)
    with pytest.raises(BodyTooLarge):
        await client.request("GET", canary.url, largest_body=10_000)


async def test_body_at_the_cap_is_read(canary: Canary, client: OutboundClient) -> None:
    canary.script = lambda _: answer(200, b"x" * 10_000)
    assert len((await client.request("GET", canary.url, largest_body=10_000)).body) == 10_000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello " * 1000)),
        ("deflate", zlib.compress(b"hello " * 1000)),
        ("gzip", gzip.compress(b"hello " * 500) + gzip.compress(b"hello " * 500)),
        ("identity", b"hello " * 1000),
    ],
)
async def test_compressed_body_is_unpacked(
    canary: Canary, client: OutboundClient, encoding: str, packed: bytes
) -> None:
    canary.script = lambda _: answer(200, packed, content_encoding=encoding)
    assert (await client.request("GET", canary.url)).body == b"hello " * 1000


async def test_compressed_bomb_stops_at_the_cap_in_bounded_memory(canary: Canary, client: OutboundClient) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=9)
    canary.script = lambda _: answer(200, bomb, content_encoding="gzip")
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            await client.request("GET", canary.url, largest_body=10_000_000)
        assert tracemalloc.get_traced_memory()[1] < 64_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"not gzip at all"), ("gzip", gzip.compress(b"x" * 1000)[:-9]), ("br", b"x"), ("gzip, gzip", b"x")],
)
async def test_broken_or_foreign_encoding_is_a_broken_contract(
    canary: Canary, client: OutboundClient, encoding: str, body: bytes
) -> None:
    canary.script = lambda _: answer(200, body, content_encoding=encoding)
    with pytest.raises(ProviderContractBroken):
        await client.request("GET", canary.url)


async def test_plain_http_answer_to_https_is_unavailable(canary: Canary, client: OutboundClient) -> None:
    with pytest.raises(ProviderUnavailable):
        await client.request("GET", canary.url.replace("http:", "https:"), retries=0, timeout=0.5)


def test_the_client_trusts_public_authorities_and_checks_names() -> None:
    context = trust()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_no_content_keeps_an_empty_body(canary: Canary, client: OutboundClient) -> None:
    canary.script = lambda _: b"HTTP/1.1 204 X\r\n\r\n"
    response = await client.request("DELETE", canary.url)
    assert (response.status, response.body) == (204, b"")
    with pytest.raises(ProviderContractBroken):
        response.json(msgspec.Raw)
