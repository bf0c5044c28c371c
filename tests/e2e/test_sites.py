"""A documentation site by its address alone: crawled, searched, rebuilt; and every address that is refused."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from libs.common.testing.eventually import eventually
from libs.local.client import Control
from libs.local.demo.connecting import first_run
from libs.local.demo.counting import wait_until_indexed
from libs.local.demo.following import wait_for
from libs.local.demo.sites import place_of
from tests.e2e.conftest import SYNC_SECONDS, Line
from tests.e2e.test_bad_input import problem

QUERIES = (
    "a heading with markup and an id of its own",
    "dead letters",
    "recovery after a restart",
    "the parts of a row",
)


@pytest.fixture
def control(line: Line) -> Iterator[Control]:
    made = Control(str(line.endpoints.sandbox), "docusaurus")
    yield made
    made.ask("POST", "settings", {"reset": True})
    made.ask("DELETE", "faults")
    made.close()


@pytest.fixture
def workspace(line: Line) -> str:
    name = f"site-{line.word()}"
    line.door.put(f"/v1/workspaces/{name}")
    return name


def names(page: str, anchor: str) -> bool:
    """Whether a browser that opens the page finds the place; without an anchor it is the page's own top."""
    return not anchor or re.search(rf'id="?{anchor}[" >]', httpx.get(page, timeout=30).text) is not None


def site(line: Line) -> str:
    return f"{line.endpoints.sandbox}/docusaurus/"


def search(line: Line, workspace: str, query: str) -> list[dict[str, Any]]:
    return list(line.door.post(f"/v1/workspaces/{workspace}/search", {"query": query, "limit": 5})["items"])


async def test_site_connected_by_the_command_is_found_at_its_headings_and_follows_a_rebuild(
    line: Line, workspace: str, control: Control
) -> None:
    made = line.asked("connect", "docusaurus", "--url", site(line), "--workspace", workspace)
    run = wait_for(line.door, first_run(line.door, made["id"])["id"], SYNC_SECONDS)
    assert run["state"] == "succeeded"
    wait_until_indexed(line.door, workspace, SYNC_SECONDS)
    (hit, *_) = search(line, workspace, "dead letter parked messages of an event topic")
    assert hit["source"]["type"] == "page"
    places = [place_of(one).partition("#") for query in QUERIES for one in search(line, workspace, query)]
    assert [page for page, _, anchor in places if not names(page, anchor)] == []
    assert any(anchor for _, _, anchor in places)

    word = line.word()
    control.change("edit", path="docs/writing/tabs", text=f"Upstream of it, {word}.")
    line.door.post(f"/v1/integrations/{made['id']}/sync")
    found = await eventually(lambda: search(line, workspace, word), timeout=30)
    assert found[0]["source"]["url"] == f"{site(line)}docs/writing/tabs"


def refused(line: Line, workspace: str, url: str, status: int, code: str) -> str:
    body = {"provider": "docusaurus", "url": url}
    answer = line.raw("POST", f"/v1/workspaces/{workspace}/integrations", json=body)
    told = problem(answer, status, code, "/url" if status == 422 else None)
    assert line.door.get(f"/v1/workspaces/{workspace}/integrations")["items"] == []
    return str(told.get("detail", told["title"]))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{other}/",
        "http://localhost:{other}/docs",
        "http://169.254.169.254/latest/",
        "http://10.1.2.3/",
    ],
)
def test_private_address_and_another_loopback_port_are_refused(line: Line, workspace: str, url: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.3)
        told = refused(line, workspace, url.format(other=listener.getsockname()[1]), 422, "address_refused")
        assert "ALLOWED_PRIVATE_ENDPOINTS" in told
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"redirectLoop": True}, "redirects lead nowhere"),
        ({"generator": False}, "no Docusaurus site"),
        ({"clientOnly": True}, "browser only"),
        ({"loginWall": "page"}, "asks to log in"),
        ({"loginWall": "redirect"}, "login.configured.invalid"),
    ],
)
def test_site_that_cannot_be_read_is_refused_with_what_to_do(
    line: Line, workspace: str, control: Control, settings: dict[str, Any], says: str
) -> None:
    control.ask("POST", "settings", settings)
    assert says in refused(line, workspace, site(line), 422, "invalid_input")


@pytest.mark.parametrize("trouble", ["bomb", "huge"])
def test_page_larger_than_any_is_refused_however_small_it_is_packed(
    line: Line, workspace: str, control: Control, trouble: str
) -> None:
    control.change("answer", path="", trouble=trouble)
    try:
        assert "larger than we read" in refused(line, workspace, site(line), 422, "invalid_input")
    finally:
        control.change("answer", path="")


def test_site_that_does_not_answer_is_away_and_may_be_tried_again(line: Line, workspace: str) -> None:
    refused(line, workspace, "https://docs.configured.invalid/", 503, "provider_unavailable")


@pytest.mark.parametrize("url", ["docs.example.com", "ftp://docs.example.com/", "https://me:pw@docs.example.com/"])
def test_text_that_is_no_address_of_a_site_is_refused(line: Line, workspace: str, url: str) -> None:
    refused(line, workspace, url, 422, "invalid_input")


def test_site_without_a_sitemap_is_read_by_its_links(line: Line, workspace: str, control: Control) -> None:
    control.ask("POST", "settings", {"sitemap": "off"})
    made = line.door.post(f"/v1/workspaces/{workspace}/integrations", {"provider": "docusaurus", "url": site(line)})
    run = wait_for(line.door, first_run(line.door, made["id"])["id"], SYNC_SECONDS)
    assert (run["state"], run["counts"]["created"] > 10) == ("succeeded", True)
