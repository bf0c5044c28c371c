"""GitHub's manners: hosts, headers, limits in their documented order, links and validators."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.errors import LostSight, ProviderUnavailable, RateLimited
from libs.common.provider.client import HttpAnswer
from libs.common.provider.http import GrantedHttp, provider_urls
from libs.providers.github.client import decode, get, limited, next_link, note_budget
from libs.providers.github.payloads import Repository
from libs.providers.github.tests.scripted import Scripted
from libs.providers.registry import manifest

SECONDARY = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'


def answered(status: int, body: bytes = b"{}", **headers: str) -> HttpAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status=status, headers=named, body=body, url="https://api.github.com/x")


@pytest.mark.parametrize(
    ("environ", "urls"),
    [
        ({}, ("https://api.github.com", "https://github.com")),
        ({"GITHUB_BASE_URL": "https://octo.ghe.com/"}, ("https://api.octo.ghe.com", "https://octo.ghe.com")),
        (
            {"GITHUB_BASE_URL": "https://git.example:8443"},
            ("https://git.example:8443/api/v3", "https://git.example:8443"),
        ),
        ({"GITHUB_BASE_URL": "https://github.com"}, ("https://api.github.com", "https://github.com")),
        ({"GITHUB_BASE_URL": "https://a.b", "GITHUB_API_URL": "https://c.d/api"}, ("https://c.d/api", "https://a.b")),
        ({"GITHUB_BASE_URL": "https://notghe.com"}, ("https://notghe.com/api/v3", "https://notghe.com")),
    ],
)
def test_api_is_where_this_kind_of_host_has_it(environ: Mapping[str, str], urls: tuple[str, str]) -> None:
    assert provider_urls(manifest("github"), environ) == urls


async def test_every_request_names_media_type_version_and_agent() -> None:
    http = Scripted((200, {}))
    await get(http, "/user")
    assert http.asked[0]["headers"] == {
        "accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28", "user-agent": "sluice",
    }  # fmt: skip


@pytest.mark.parametrize("status", [403, 429])
def test_retry_after_counts_before_an_empty_budget(status: int) -> None:
    reset = str(int(datetime.now(UTC).timestamp()) + 3000)
    found = limited(answered(status, retry_after="7", x_ratelimit_remaining="0", x_ratelimit_reset=reset))
    assert isinstance(found, RateLimited)
    assert timedelta(seconds=5) < found.until - datetime.now(UTC) < timedelta(seconds=8)


def test_date_counts_like_seconds_and_nothing_asks_for_more_than_a_day() -> None:
    later = (datetime.now(UTC) + timedelta(minutes=5)).replace(microsecond=0)
    for told, until in (
        (f"{later:%a, %d %b %Y %H:%M:%S} GMT", later),
        ("9" * 20, datetime.now(UTC) + timedelta(days=1)),
    ):
        found = limited(answered(403, retry_after=told))
        assert found is not None
        assert abs(found.until - until) < timedelta(seconds=5)


@pytest.mark.parametrize("status", [403, 429])
def test_empty_budget_waits_for_its_reset(status: int) -> None:
    reset = int(datetime.now(UTC).timestamp()) + 3000
    found = limited(answered(status, x_ratelimit_remaining="0", x_ratelimit_reset=str(reset)))
    assert found is not None
    assert found.until == datetime.fromtimestamp(reset, UTC)


@pytest.mark.parametrize(("status", "body"), [(403, SECONDARY), (429, b"{}"), (429, SECONDARY)])
def test_secondary_limit_without_a_header_waits_a_minute(status: int, body: bytes) -> None:
    found = limited(answered(status, body, x_ratelimit_remaining="4000"))
    assert found is not None
    assert timedelta(seconds=55) < found.until - datetime.now(UTC) <= timedelta(seconds=60)


async def test_refusal_that_is_no_limit_is_a_missing_permission() -> None:
    with pytest.raises(LostSight):
        await get(Scripted((403, {"message": "Resource not accessible"}, {"x-ratelimit-remaining": "4000"})), "/x")


@pytest.mark.parametrize("value", ["", "soon", "1507651200000", "-1", "1e9"])
def test_header_that_is_no_number_ends_nothing(value: str) -> None:
    http = Scripted((200, {}))
    note_budget(http, answered(200, x_ratelimit_reset=value, x_ratelimit_limit="5000", x_ratelimit_remaining="1"))
    assert http.budget is None
    for moment in ("-1", "soon", "²"):
        assert limited(answered(403, retry_after=moment)) is None


def test_budget_is_noted_for_its_resource() -> None:
    http = Scripted((200, {}))
    note_budget(
        http,
        answered(
            200, x_ratelimit_limit="5000", x_ratelimit_remaining="4999", x_ratelimit_reset="1767225600",
            x_ratelimit_resource="search",
        ),
    )  # fmt: skip
    assert http.budget is not None
    assert (http.budget.limit, http.budget.remaining, http.budget.resource) == (5000, 4999, "search")
    assert http.budget.resets_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_next_link_is_taken_as_it_stands() -> None:
    there = "https://api.github.com/repositories/1/issues?after=Y3Vy%3D%3D&per_page=100"
    assert next_link(answered(200, link=f'<{there}>; rel="next", <https://x>; rel="last"')) == there
    assert next_link(answered(200, link='<https://x>; rel="prev"')) is None


@pytest.mark.parametrize("cut", [b"", b'{"id": 1, "full', b"\xff"])
def test_body_cut_anywhere_is_the_provider_away(cut: bytes) -> None:
    with pytest.raises(ProviderUnavailable):
        decode(answered(200, cut), Repository)


async def test_validator_of_one_token_is_never_sent_with_another() -> None:
    class Wire:
        def __init__(self) -> None:
            self.sent: list[Mapping[str, str]] = []

        async def request(
            self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None
        ) -> HttpAnswer:
            self.sent.append(headers)
            return HttpAnswer(status=200, headers={"etag": '"one"'}, body=b"{}", url=url)

    wire, urls = Wire(), {"api_url": "https://api.github.com", "base_url": "https://github.com"}
    first = GrantedHttp(wire, **urls, token="a")
    await first.request("GET", "/x", conditional="r")
    for token in ("a", "b"):
        http = GrantedHttp(wire, **urls, token=token, validators=first.new_validators)
        await http.request("GET", "/x", conditional="r")
    assert [headers.get("if-none-match") for headers in wire.sent] == [None, '"one"', None]
