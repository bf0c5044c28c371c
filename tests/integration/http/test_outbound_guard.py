"""Nothing that a URL, a name or a redirect can say reaches an inside address (RELIABILITY A19, A20)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence

import httpcore
import pytest

from libs.common.errors import ProviderContractBroken, ProviderUnavailable, SluiceError
from libs.common.http.client import AddressRefused, OutboundClient
from tests.integration.http.canary import Canary, answer, listening

# Every one of these reaches 127.0.0.1 through some resolver, library or network; {port} is the canary's.
FORMS = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.255.255.254:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.1:{port}/",
    "http://00000177.0.0.1:{port}/",
    "http://127.0x0.0.1:{port}/",
    "http://127.000.000.001:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://0x0:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::7f00:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2002:7f00:1::1]:{port}/",
    "http://[2001::7f00:1]:{port}/",
    "http://[2001:0:7f00:1::80ff:fffe]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fe80::1%lo]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[fc00::1]:{port}/",
    "http://[ff02::1]:{port}/",
    "http://224.0.0.1:{port}/",
    "http://239.255.255.250:{port}/",
    "http://255.255.255.255:{port}/",
    "http://100.64.0.1:{port}/",
    "http://10.0.0.1:{port}/",
    "http://172.16.0.1:{port}/",
    "http://192.168.0.1:{port}/",
    "http://192.0.0.8:{port}/",
    "http://198.18.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://100.100.100.200/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://user@127.0.0.1:{port}/",
    "http://user:word@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:///127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\t/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\r\nhost: x:{port}/",
    "http://127.0.0.1%00.example.com:{port}/",
    "http://127.0.0.1%2f.example.com:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_x",
    "file:///etc/passwd",
    "unix:///var/run/socket",
    "ws://127.0.0.1:{port}/",
    "data:text/plain,x",
    "",
    "http://",
    "http://:{port}/",
    "http://[/",
]


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with listening() as made:
        yield made


async def test_control_shows_that_the_canary_can_be_reached(canary: Canary) -> None:
    async with OutboundClient([canary.endpoint]) as client:
        assert (await client.request("GET", canary.url + "/x")).body == b"ok"
    assert canary.connections == 1


@pytest.mark.parametrize("form", FORMS)
async def test_no_form_of_an_inside_address_is_connected_to(
    canary: Canary, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even tried: an attempt counts, also where nothing listens."""
    attempted: list[str] = []

    async def record(_backend: object, host: str, *_: object, **__: object) -> None:
        attempted.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", record)
    async with OutboundClient(attempts=1) as client:
        with pytest.raises((AddressRefused, ProviderUnavailable)):
            await client.request("GET", form.format(port=canary.port), timeout=5)
    assert (attempted, canary.connections) == ([], 0)


@pytest.mark.parametrize("form", FORMS[:2])
async def test_refusal_is_a_typed_error_without_the_query(canary: Canary, form: str) -> None:
    async with OutboundClient() as client:
        with pytest.raises(AddressRefused) as caught:
            await client.request("GET", form.format(port=canary.port) + "?token=canary-secret")
    assert (caught.value.code, caught.value.http_status) == ("address_refused", 422)
    assert "canary" not in str(caught.value) + caught.value.detail


async def test_exception_is_for_the_exact_host_and_port(canary: Canary) -> None:
    for allowed in (
        f"127.0.0.1:{canary.port + 1}",
        f"localhost:{canary.port}",
        "127.0.0.1",
        f"127.0.0.2:{canary.port}",
    ):
        async with OutboundClient([allowed]) as client:
            with pytest.raises(AddressRefused):
                await client.request("GET", canary.url)
    assert canary.connections == 0


class FakeNames:
    """A resolver whose answers change from call to call."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.calls = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.calls += 1
        return self.answers[min(self.calls, len(self.answers)) - 1]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%lo"],
    ],
)
async def test_name_with_any_inside_answer_is_refused(canary: Canary, addresses: list[str]) -> None:
    async with OutboundClient(resolver=FakeNames(addresses)) as client:
        with pytest.raises(AddressRefused):
            await client.request("GET", f"http://cname.example:{canary.port}/")
    assert canary.connections == 0


async def test_the_judged_address_is_the_one_connected_to(canary: Canary) -> None:
    names = FakeNames(["127.0.0.1"], ["203.0.113.9"])
    async with OutboundClient([f"sandbox.example:{canary.port}"], resolver=names) as client:
        response = await client.request("GET", f"http://sandbox.example:{canary.port}/a")
    assert response.status == 200
    assert names.calls == 1
    assert canary.seen[0].headers["host"] == f"sandbox.example:{canary.port}"


async def test_rebinding_never_connects_inside(canary: Canary) -> None:
    """200 names whose answers flip between public and inside; a public answer here is one that nothing listens on."""
    chance = random.Random(7)
    pool = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254"]
    for _ in range(200):
        first = [chance.choice(pool)] if chance.random() < 0.7 else ["93.184.216.34", chance.choice(pool)]
        async with OutboundClient(resolver=FakeNames(first, ["127.0.0.1"]), attempts=2) as client:
            with pytest.raises(AddressRefused):
                await client.request("GET", f"http://flip.example:{canary.port}/")
    assert canary.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_to_the_inside_is_refused_at_its_hop(status: int) -> None:
    async with listening() as outside, listening() as inside:
        outside.script = lambda _: answer(status, location=inside.url + "/admin")
        async with OutboundClient([outside.endpoint]) as client:
            with pytest.raises(AddressRefused):
                await client.request("GET", outside.url)
        assert (outside.connections, inside.connections) == (1, 0)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://user:x@example.com/", "gopher://x/", "ftp://x/"])
async def test_redirect_to_another_kind_of_address_is_refused(canary: Canary, location: str) -> None:
    canary.script = lambda _: answer(302, location=location)
    async with OutboundClient([canary.endpoint]) as client:
        with pytest.raises(AddressRefused):
            await client.request("GET", canary.url)


async def test_too_many_redirects_stop(canary: Canary) -> None:
    canary.script = lambda _: answer(302, location="/again")
    async with OutboundClient([canary.endpoint]) as client:
        with pytest.raises(ProviderContractBroken):
            await client.request("GET", canary.url)
    assert len(canary.seen) == 6


SECRETS = {"authorization": "Bearer canary", "private-token": "canary", "cookie": "a=canary", "x-api-key": "canary"}


async def test_credentials_stay_with_their_origin() -> None:
    async with listening() as first, listening() as second:
        first.script = lambda seen: answer(302, location="/b" if seen.target == "/a" else second.url + "/c")
        async with OutboundClient([first.endpoint, second.endpoint]) as client:
            headers = SECRETS | {"accept": "application/json"}
            assert (await client.request("GET", first.url + "/a", headers=headers)).url == second.url + "/c"
        assert [seen.headers.get("authorization") for seen in first.seen] == ["Bearer canary"] * 2
        assert "canary" not in str(second.seen[0].headers)
        assert second.seen[0].headers["accept"] == "application/json"


async def test_body_is_not_carried_to_another_origin() -> None:
    async with listening() as first, listening() as second:
        first.script = lambda _: answer(307, location=second.url)
        async with OutboundClient([first.endpoint, second.endpoint]) as client:
            with pytest.raises(AddressRefused):
                await client.request("POST", first.url, form={"client_secret": "canary"})
        assert second.connections == 0


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_redirect_of_a_post_keeps_or_drops_its_body(canary: Canary, status: int, method: str) -> None:
    canary.script = lambda seen: answer(status, location="/b") if seen.target == "/a" else answer(200)
    async with OutboundClient([canary.endpoint]) as client:
        await client.request("POST", canary.url + "/a", json={"x": 1})
    assert (canary.seen[1].method, bool(canary.seen[1].body)) == (method, method == "POST")


async def test_environment_proxies_are_ignored(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with OutboundClient([canary.endpoint]) as client:
        assert (await client.request("GET", canary.url)).status == 200


async def test_cookies_of_one_call_never_reach_the_next(canary: Canary) -> None:
    canary.script = lambda _: answer(200, set_cookie="session=canary; Path=/")
    async with OutboundClient([canary.endpoint]) as client:
        await client.request("GET", canary.url)
        await client.request("GET", canary.url)
    assert "cookie" not in canary.seen[1].headers


async def test_client_for_our_own_service_opens_no_door_for_the_shared_one(canary: Canary) -> None:
    shared = OutboundClient()
    async with shared.for_own(canary.url) as own, shared:
        assert (await own.request("GET", canary.url)).status == 200
        with pytest.raises(SluiceError):
            await shared.request("GET", canary.url)
    assert canary.connections == 1
