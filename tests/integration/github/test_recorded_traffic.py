"""GitHub's own traffic, recorded by npm @octokit/fixtures, replayed over connections through our client and facet."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from tenacity import wait_none

from libs.common.clock import SystemClock
from libs.common.errors import ProviderContractBroken, ResourceGone, SluiceError
from libs.common.http.client import OutboundClient
from libs.common.provider.client import HttpAnswer
from libs.common.provider.http import GrantedHttp
from libs.common.provider.sync import Observed, Resource, SyncContext
from libs.providers.github.client import check_status, decode, next_link, note_budget
from libs.providers.github.files import blob_id
from libs.providers.github.payloads import Content, Issue
from libs.providers.github.sync import FACET
from tests.integration.http.canary import Canary, Seen, answer, listening
from tests.support.npm import installed

PROJECT = Path(__file__).parent / "octokit_fixtures"
API, ARCHIVES = "https://api.github.com", "https://codeload.github.com"
# What Sluice reads itself, replayed through the facet by a test of its own below.
THROUGH_THE_FACET = ("get-archive", "get-content", "get-repository", "paginate-issues", "rename-repository")
# Replayed exchange by exchange through the client alone: no facet asks for these objects.
THROUGH_THE_CLIENT = {
    "add-and-remove-repository-collaborator": "collaborators are not synced",
    "add-labels-to-issue": "writes only",
    "branch-protection": "protection is not synced",
    "create-file": "writes only",
    "create-status": "commit statuses are not synced",
    "errors": "a refused write",
    "get-organization": "organisations are not synced",
    "get-root": "no facet follows the root's URL templates",
    "git-refs": "heads are read as branches",
    "labels": "labels come with their issue",
    "lock-issue": "writes only",
    "mark-notifications-as-read": "writes only",
    "markdown": "Markdown is kept as it is written",
    "project-cards": "classic projects are gone",
    "release-assets": "releases are not synced",
    "release-assets-conflict": "releases are not synced",
    "search-issues": "search is Sluice's own",
}


class Exchange(msgspec.Struct, rename="camel"):
    scope: str
    method: str
    path: str
    status: int
    response: Any
    headers: dict[str, Any] = {}
    body: Any = ""
    response_is_binary: bool = False

    def sent_body(self) -> bytes | None:
        return None if self.body == "" else msgspec.json.encode(self.body)

    def given_body(self) -> bytes:
        if self.response_is_binary:
            return bytes.fromhex(self.response)
        return self.response.encode() if isinstance(self.response, str) else msgspec.json.encode(self.response)


class Replay:
    """The recorded hosts on loopback: what was recorded is answered in its order, anything else is 599."""

    def __init__(self, exchanges: list[Exchange], api: Canary, archives: Canary) -> None:
        self.exchanges, self.waiting = exchanges, list(exchanges)
        self.here = {API: api.url, ARCHIVES: archives.url}
        self.api, self.archives = api, archives
        api.script = archives.script = self.answer

    def answer(self, seen: Seen) -> bytes:
        for at, one in enumerate(self.waiting):
            if (one.method.upper(), one.path) == (seen.method, seen.target):
                return self.written(self.waiting.pop(at))
        return answer(599)

    def written(self, one: Exchange) -> bytes:
        kept = re.compile("link|location|etag|content-type|x-ratelimit-.*|x-oauth-scopes")
        headers = {name: self.localised(str(value)) for name, value in one.headers.items() if kept.fullmatch(name)}
        return answer(one.status, self.body_of(one), **headers)

    def body_of(self, one: Exchange) -> bytes:
        given = one.given_body()
        return given if one.response_is_binary else self.localised(given.decode()).encode()

    def localised(self, text: str) -> str:
        for there, here in self.here.items():
            text = text.replace(there, here)
        return text

    def http(self, client: OutboundClient) -> GrantedHttp:
        return GrantedHttp(client, api_url=self.api.url, base_url=self.api.url, token="recorded")

    def final(self, one: Exchange) -> Exchange:
        """Where its redirects lead."""
        while 300 <= one.status < 400:
            there = urlsplit(one.headers["location"])
            rest = self.exchanges[self.exchanges.index(one) + 1 :]
            one = next(other for other in rest if other.path == there.path and other.method == one.method)
        return one


def recording(scenario: str) -> list[Exchange]:
    place = installed(PROJECT) / "node_modules/@octokit/fixtures/scenarios/api.github.com"
    return msgspec.json.decode((place / scenario / "normalized-fixture.json").read_bytes(), type=list[Exchange])


@asynccontextmanager
async def replayed(scenario: str) -> AsyncIterator[tuple[Replay, GrantedHttp]]:
    async with listening() as api, listening("127.0.0.2") as archives:
        replay = Replay(recording(scenario), api, archives)
        replay.here[ARCHIVES] = f"http://127.0.0.2:{archives.port}"
        allowed = [api.endpoint, f"127.0.0.2:{archives.port}"]
        async with OutboundClient(allowed, backoff=wait_none()) as client:
            yield replay, replay.http(client)


def context(http: GrantedHttp, number: str = "1000") -> SyncContext:
    resource = Resource(kind="repository", external_id=number, name="octokit-fixture-org/any", url="https://web")
    return SyncContext(http=http, clock=SystemClock(), config={}, features=("issues", "prs"), resource=resource)


def test_every_recorded_scenario_is_in_a_list() -> None:
    place = installed(PROJECT) / "node_modules/@octokit/fixtures/scenarios/api.github.com"
    recorded = {folder.name for folder in place.iterdir() if folder.is_dir()}
    assert recorded == {*THROUGH_THE_FACET, *THROUGH_THE_CLIENT}
    assert not set(THROUGH_THE_FACET) & set(THROUGH_THE_CLIENT)
    assert all(THROUGH_THE_CLIENT.values())


@pytest.mark.parametrize("scenario", [*THROUGH_THE_FACET, *THROUGH_THE_CLIENT])
async def test_recorded_exchanges_give_the_recorded_results(scenario: str) -> None:
    async with replayed(scenario) as (replay, http):
        for one in replay.exchanges:
            if one not in replay.waiting:  # a redirect led here already
                continue
            headers = {"content-type": "application/json"} if one.body != "" else {}
            given = await http.request(one.method.upper(), one.path, headers=headers, body=one.sent_body())
            expected = replay.final(one)
            assert (given.status, given.body) == (expected.status, replay.body_of(expected))
            note_budget(http, given)
            assert _meaning(given) is _expected_meaning(expected.status)
        assert replay.waiting == []
        assert http.budget is None  # the package wrote milliseconds where GitHub sends seconds: never a moment to trust


def _meaning(given: HttpAnswer) -> type[SluiceError] | None:
    try:
        check_status(given)
    except SluiceError as error:
        return type(error)
    return None


def _expected_meaning(status: int) -> type[SluiceError] | None:
    return {404: ResourceGone, 422: ProviderContractBroken}.get(status)


async def test_recorded_pages_are_followed_by_their_own_links_to_every_issue() -> None:
    recorded = recording("paginate-issues")
    numbers = {f"issue:{issue['number']}": issue["title"] for one in recorded for issue in one.response}
    async with replayed("paginate-issues") as (replay, http):
        first = replay.waiting.pop(0)  # its address was another's choice; every later one is GitHub's own

        def script(seen: Seen) -> bytes:
            if "sort=updated" not in seen.target:
                return replay.answer(seen)
            return answer(200, b"[]") if "since=" in seen.target else replay.written(first)

        replay.api.script = script
        pages = [page async for page in FACET.pull(context(http), "issues", None)]
    found = {item.key: item.name for page in pages for item in page.items if isinstance(item, Observed)}
    assert found == numbers
    assert len(numbers) == 13
    assert [seen.target for seen in replay.api.seen[1:5]] == [one.path for one in recorded[1:]]
    assert replay.waiting == []


async def test_recorded_rename_is_followed_to_the_number_and_the_new_name() -> None:
    async with replayed("rename-repository") as (replay, http):
        replay.waiting.pop(0)  # somebody has renamed it
        found = await FACET.find(context(http), "octokit-fixture-org/rename-repository")
        assert (found.external_id, found.name) == ("1000", "octokit-fixture-org/rename-repository-newname")
        write = replay.exchanges[3]
        given = await http.request("PATCH", write.path, body=write.sent_body())
        assert (given.status, given.url) == (200, f"{replay.api.url}/repositories/1000")
        assert replay.api.seen[-1].body == write.sent_body()


async def test_recorded_repository_becomes_a_resource() -> None:
    async with replayed("get-repository") as (replay, http):
        found = await FACET.find(context(http), "octokit-fixture-org/hello-world")
    told = replay.exchanges[0].response
    assert (found.external_id, found.name, found.url) == (str(told["id"]), told["full_name"], told["html_url"])
    assert found.facts == {"default_branch": told["default_branch"], "private": told["private"]}


async def test_recorded_content_hashes_to_the_id_that_its_listing_tells() -> None:
    async with replayed("get-content") as (replay, http):
        listed = decode(await http.request("GET", replay.exchanges[0].path), list[Content])
        content = await http.request("GET", replay.exchanges[1].path)
    assert [blob_id(content.body)] == [one.sha for one in listed]


async def test_recorded_archive_is_read_from_another_host_that_never_sees_the_token() -> None:
    async with replayed("get-archive") as (replay, http):
        given = await http.request("GET", replay.exchanges[0].path)
    assert given.body == replay.exchanges[1].given_body()
    assert given.body.startswith(b"\x1f\x8b")
    assert replay.api.seen[0].headers["authorization"] == "Bearer recorded"
    assert "authorization" not in replay.archives.seen[0].headers


async def test_recorded_link_header_gives_its_next_address_alone() -> None:
    async with replayed("paginate-issues") as (replay, http):
        given = await http.request("GET", replay.exchanges[0].path)
    assert next_link(given) == f"{replay.api.url}/repositories/1000/issues?per_page=3&page=2"
    assert [issue.number for issue in decode(given, list[Issue])] == [
        issue["number"] for issue in replay.exchanges[0].response
    ]
