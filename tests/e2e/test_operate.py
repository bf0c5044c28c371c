"""Operating an integration through the front door: hooks, features, progress, pause, cancel, disconnect."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from libs.common.errors import AuthRevoked, NotFound
from libs.common.http.client import InternalClient, OutboundClient
from libs.common.internal import ACCESS_TOKEN_PATH, AccessToken, AccessTokenAsked
from libs.common.security.principals import ServiceTokens
from libs.common.testing.eventually import eventually
from libs.local.keys import signing_keys
from libs.local.state import State
from tests.e2e.conftest import Line
from tests.e2e.place import WAIT_S, Place, connect, ended, found_place, open_place

ISSUES = 250  # three pages of GitHub's


@pytest.fixture
def faults(line: Line) -> Iterator[None]:
    """Whatever a test arms is gone after it."""
    yield
    line.control.ask("DELETE", "faults")


def hold_page_two(place: Place) -> None:
    """The provider does not answer for the second page of issues until the faults are cleared."""
    match = f"/repositories/{place.repository_id}/issues\\?.*[?&]page=2"
    place.line.control.ask("POST", "faults", {"match": match, "kind": "hang", "times": 0})


def let_go(place: Place) -> None:
    place.line.control.ask("DELETE", "faults")


async def begun(line: Line) -> tuple[Place, dict[str, Any]]:
    """A first sync that has its first page and waits for the second."""
    place = found_place(line)
    line.control.ask("POST", "seed", {"issues": ISSUES, "repository": place.repository})
    hold_page_two(place)
    run = connect(place, features=["issues"])
    await eventually(lambda: line.door.get(f"/v1/sync-runs/{run['id']}")["counts"]["fetched"] >= 100, timeout=WAIT_S)
    return place, run


def issues(place: Place) -> int:
    return len(place.sources(type="issue"))


# --- hooks


async def test_hook_comes_and_goes_as_monitoring_is_switched(line: Line) -> None:
    place = open_place(line, features=["issues"], monitor=False)
    assert place.hooks() == []
    place.configure(monitorChanges=True)
    await place.hooked()
    assert place.hooks() == [line.door.get(f"{place.root}/webhook-endpoint")["url"]]
    place.configure(monitorChanges=False)
    await place.unhooked()
    await eventually(lambda: place.view()["webhook"]["state"] == "none", timeout=WAIT_S)


async def test_hook_goes_with_a_pause_and_comes_back_with_the_resume(line: Line) -> None:
    place = open_place(line, features=["issues"])
    await place.hooked()
    line.door.post(f"{place.root}/pause")
    await place.unhooked()
    missed = line.word()
    assert place.change("open_issue", title=missed)["deliveries"] == []
    line.door.post(f"{place.root}/resume")
    await place.hooked()
    place.sync()
    await eventually(lambda: missed in place.texts(missed), timeout=WAIT_S)


async def test_hooks_and_sources_follow_the_selection_of_resources(line: Line) -> None:
    place, other = open_place(line, features=["issues"]), found_place(line)
    await place.hooked()
    word = line.word()
    other.change("open_issue", title=word)
    chosen = [str(place.repository_id), other.repository]
    line.door.put(f"{place.root}/resources", {"selected": chosen})
    await eventually(lambda: len(other.hooks()) == 1 and word in place.texts(word), timeout=WAIT_S)
    line.door.put(f"{place.root}/resources", {"selected": [str(place.repository_id)]})
    await eventually(lambda: not other.hooks() and not place.texts(word), timeout=WAIT_S)
    assert len(place.hooks()) == 1


async def test_grant_that_may_not_make_hooks_says_so_and_syncs_all_the_same(line: Line) -> None:
    place = found_place(line)
    place.change("edit_repository", private=False)
    word = line.word()
    place.change("open_issue", title=word)
    token = line.control.ask("POST", "tokens", {"scopes": ["read:user"]})["token"]
    run = ended(place, connect(place, features=["issues"], token=token))
    await eventually(lambda: place.view()["webhook"]["state"] == "failing", timeout=WAIT_S)
    seen = place.view()
    assert run["state"] == "succeeded"
    assert "admin rights" in seen["webhook"]["detail"]
    assert (seen["status"], seen["errorCount"]) == ("active", 0)
    assert word in place.texts(word)
    subscription = line.door.get(f"{place.root}/subscriptions")["items"][0]
    assert (subscription["state"], subscription["code"]) == ("failing", "lost_sight")


# --- features


def asked_for(place: Place, since: int, *parts: str) -> list[str]:
    return [one for one in place.asked_since(since) if any(part in one for part in parts)]


async def test_only_chosen_features_are_pulled_one_more_alone_and_one_less_is_forgotten(line: Line) -> None:
    place = found_place(line)
    issue, pull, file = (line.word() for _ in range(3))
    place.change("open_issue", title=issue)
    number = place.change("open_pull", title=pull)["number"]
    place.change("push", files={f"{file}.md": f"# {file}\n\n{file}\n"})
    since = line.control.last_request()
    ended(place, connect(place, features=["issues"], monitor=False))
    await _hooks_switched_on(place)
    place.change("comment", number=number, body="About what nobody chose.")
    place.change("push", files={"more.md": "# More\n"})
    await eventually(lambda: len(_handled(place)) == 2, timeout=WAIT_S)
    await _nothing_waits(place)
    assert asked_for(place, since, "/pulls", "/git/", "/branches", "/compare", "/contents", f"/issues/{number}") == []
    assert {one["type"] for one in place.sources()} == {"issue"}

    since = line.control.last_request()
    place.configure(features=["issues", "code"])
    await eventually(lambda: file in place.texts(file), timeout=WAIT_S)
    assert asked_for(place, since, "/issues", "/pulls") == []
    assert asked_for(place, since, "/git/trees")

    place.configure(features=["code"])
    await eventually(lambda: not place.texts(issue), timeout=WAIT_S)
    assert {one["type"] for one in place.sources()} == {"file"}
    assert {one["type"] for one in place.sources(status="deleted")} == {"issue"}
    assert file in place.texts(file)


def _handled(place: Place) -> list[str]:
    deliveries = place.line.door.get(f"{place.root}/deliveries")["items"]
    return [one["event"] for one in deliveries if one["outcome"] == "handled"]


async def _hooks_switched_on(place: Place) -> None:
    """And the one look that follows them is over."""
    polled = place.view()["lastPolledAt"]
    place.configure(monitorChanges=True)
    await place.hooked()
    await eventually(lambda: place.view()["lastPolledAt"] != polled, timeout=WAIT_S)


async def _nothing_waits(place: Place) -> None:
    """A change that is wanted, sent after the others, has come through, and by its own delivery."""
    word, since = place.line.word(), place.line.control.last_request()
    number = place.change("open_issue", title=word)["number"]
    await eventually(lambda: word in place.texts(word), timeout=WAIT_S)
    await eventually(lambda: bool(asked_for(place, since, f"/issues/{number}")), timeout=WAIT_S)


# --- progress


async def stream(line: Line, run: str, last: str | None = None) -> AsyncIterator[dict[str, str]]:
    """The events of a run as they come through the front door."""
    headers = {"authorization": f"Bearer {line.key}", **({"last-event-id": last} if last else {})}
    url = f"{line.endpoints.gateway}/v1/sync-runs/{run}/events"
    async with httpx.AsyncClient(timeout=30) as client, client.stream("GET", url, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        async for text in answer.aiter_lines():
            name, _, value = text.partition(": ")
            if not text and event:
                yield event
                event = {}
            elif name:
                event[name] = value


async def test_progress_comes_while_the_run_goes_on_and_resumes_where_it_was_left(line: Line, faults: None) -> None:
    place, run = await begun(line)
    events = stream(line, run["id"])
    first = await anext(events)
    seen = msgspec.json.decode(first["data"])
    assert (first["event"], seen["state"]) == ("progress", "running")
    assert 0 <= seen["progress"] < 1
    assert seen["counts"]["fetched"] == 100
    let_go(place)
    rest = [event async for event in events]
    ids = [int(event["id"]) for event in (first, *rest)]
    assert ids == sorted(set(ids))
    assert rest[-1]["event"] == "done"
    assert msgspec.json.decode(rest[-1]["data"])["counts"]["created"] == ISSUES
    again = [event async for event in stream(line, run["id"], last=first["id"])]
    assert [event["event"] for event in again] == ["done"]


async def test_failed_run_is_told_with_its_reason_and_a_reconnect_heals(line: Line) -> None:
    token = line.control.ask("POST", "tokens", {})["token"]
    place = open_place(line, features=["issues"], monitor=False, token=token)
    line.control.ask("POST", "expire", {"token": token})
    run = line.door.post(f"{place.root}/sync")
    events = [event async for event in stream(line, run["id"])]
    assert events[-1]["event"] == "failed"
    error = msgspec.json.decode(events[-1]["data"])["error"]
    assert error["code"] == "auth_revoked"
    assert "reconnect" in error["detail"]
    newest = line.door.get(f"{place.root}/sync-runs")["items"][0]
    assert (newest["id"], newest["state"], newest["error"]) == (run["id"], "failed", error)
    await eventually(lambda: place.view()["status"] == "error", timeout=WAIT_S)
    fresh = line.control.ask("POST", "tokens", {})["token"]
    line.door.post(f"{place.root}/reconnect", {"token": fresh})
    await eventually(lambda: place.view()["status"] == "active", timeout=WAIT_S)
    runs = f"{place.root}/sync-runs"
    await eventually(lambda: line.door.get(runs)["items"][0]["state"] == "succeeded", timeout=WAIT_S)


# --- pause, resume, cancel, disconnect


async def test_pause_in_the_middle_keeps_what_is_synced_and_resume_goes_on_at_the_page(
    line: Line, faults: None
) -> None:
    place, run = await begun(line)
    line.door.post(f"{place.root}/pause")
    await eventually(lambda: line.door.get(f"/v1/sync-runs/{run['id']}")["paused"], timeout=WAIT_S)
    let_go(place)
    await place.unhooked()
    await eventually(lambda: place.view()["status"] == "inactive", timeout=WAIT_S)
    assert issues(place) == 100
    assert line.raw("POST", f"{place.root}/sync").status_code == 409
    since = line.control.last_request()
    line.door.post(f"{place.root}/resume")
    assert ended(place, run)["state"] == "succeeded"
    assert issues(place) == ISSUES
    pages = [one for one in asked_for(place, since, "/issues?") if "since=" not in one]
    # The request that was cut may be repeated once by the one that had to stop; the first page is never asked again.
    assert list(dict.fromkeys(one.rpartition("page=")[2] for one in pages)) == ["2", "3"]
    await place.hooked()


async def test_cancelled_run_keeps_what_it_has_and_the_next_goes_on(line: Line, faults: None) -> None:
    place, run = await begun(line)
    cancelled = line.door.post(f"/v1/sync-runs/{run['id']}/cancel")
    assert cancelled["state"] == "cancelled"
    assert line.door.post(f"/v1/sync-runs/{run['id']}/cancel")["state"] == "cancelled"
    let_go(place)
    assert issues(place) == 100
    events = [event async for event in stream(line, run["id"])]
    assert [event["event"] for event in events] == ["failed"]
    assert place.sync()["state"] == "succeeded"
    assert issues(place) == ISSUES
    assert line.raw("POST", f"/v1/sync-runs/{run['id']}/cancel").status_code == 200


async def test_disconnect_takes_sources_hooks_and_the_token(line: Line) -> None:
    place = open_place(line, features=["issues", "code"])
    await place.hooked()
    word = line.word()
    place.change("open_issue", title=word)
    await eventually(lambda: word in place.texts(word), timeout=WAIT_S)
    url, began = place.hooks()[0], time.monotonic()
    assert line.raw("DELETE", place.root).status_code == 204
    await place.unhooked()
    await eventually(lambda: not place.texts(word) and not place.sources(), timeout=WAIT_S)
    print(f"figure disconnect_to_empty value={time.monotonic() - began:.2f} unit=s against=20")
    assert line.raw("POST", httpx.URL(url).path, key="", content=b"{}").status_code == 404
    assert line.raw("POST", f"{place.root}/sync").status_code == 404
    await eventually(lambda: _not_lent(place), timeout=WAIT_S)


async def _not_lent(place: Place) -> bool:
    """Asked as a service of ours asks, for any purpose."""
    keys = signing_keys(State(Path(place.line.root) / ".sluice"))
    outbound = OutboundClient([])
    client = InternalClient(place.line.endpoints.services["auth"], ServiceTokens("sync", keys), "auth", outbound)
    asked = AccessTokenAsked(workspace_id=place.workspace, purpose="teardown")
    path = ACCESS_TOKEN_PATH.format(integration_id=place.integration)
    try:
        await client.post(path, asked, response_type=AccessToken)
    except (NotFound, AuthRevoked):
        return True
    finally:
        await client.aclose()
        await outbound.aclose()
    return False
