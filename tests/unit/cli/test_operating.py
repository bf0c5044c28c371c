"""The command line's own decisions: what it sends, what it keeps, and how it follows a run."""

from typing import Any

import httpx
import pytest

from libs.cli.integrations import configure_body, shown
from libs.cli.resources import kept
from libs.local import client
from libs.local.client import Gateway, Told
from libs.local.demo.following import follow
from libs.local.sse import ServerEvent, server_events

ONE: dict[str, Any] = {
    "id": "i", "type": "github", "name": "Ours", "status": "error", "statusReason": "grant_lost", "features": ["code"],
    "account": {"name": "octocat"}, "monitorChanges": False, "pollingEnabled": False, "pollingInterval": 15,
    "lastPolledAt": None, "nextPollAt": None, "changeCount": 0, "lastError": None, "errorCount": 0, "createdAt": None,
    "webhook": {"state": "none", "subscriptions": 0, "detail": "", "lastDeliveryAt": None},
}  # fmt: skip


def test_only_what_is_given_is_changed() -> None:
    assert configure_body("New", None, None, None) == {"name": "New"}
    assert configure_body(None, ["code"], False, None) == {"features": ["code"], "monitorChanges": False}
    assert configure_body(None, None, None, 5) == {"pollingEnabled": True, "pollingInterval": 5}
    assert configure_body(None, None, None, 0) == {"pollingEnabled": False}


def test_nothing_to_change_is_told() -> None:
    with pytest.raises(Told, match="Nothing to change"):
        configure_body(None, None, None, None)


def test_integration_is_shown_with_its_reason_and_without_what_is_off() -> None:
    told = dict(shown(ONE))
    assert (told["status"], told["hooks"], told["polling"]) == ("error (grant_lost)", "off", "off")


SELECTED = [
    {"externalId": "1", "name": "octo/hello", "url": "https://github.com/octo/hello"},
    {"externalId": "2", "name": "octo/world", "url": "https://github.com/octo/world"},
]


@pytest.mark.parametrize("name", ["2", "octo/world", "https://github.com/octo/world"])
def test_deselected_by_id_name_or_address_leaves_the_others(name: str) -> None:
    assert kept(SELECTED, [name]) == ["1"]


def test_deselecting_what_is_not_selected_says_what_is() -> None:
    with pytest.raises(Told) as told:
        kept(SELECTED, ["1", "octo/other"])
    assert "octo/other" in told.value.text
    assert "octo/hello, octo/world" in told.value.hint


# --- server-sent events


def test_events_are_read_and_comments_and_a_cut_end_are_not() -> None:
    text = ": still running\n\nid: 3\nevent: progress\ndata: {}\n\ndata:a\ndata: b\n\nid: 4\nevent: done\ndata: cut"
    assert list(server_events(text.split("\n"))) == [
        ServerEvent(id="3", name="progress", data="{}"),
        ServerEvent(id="", name="message", data="a\nb"),
    ]


def streaming(*bodies: str | type[Exception]) -> tuple[Gateway, list[str]]:
    """A gateway whose connections send these, one after another; and the Last-Event-ID of each."""
    asked: list[str] = []
    waiting = iter(bodies)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id", ""))
        body = next(waiting)
        if not isinstance(body, str):
            raise body("away", request=request)
        return httpx.Response(200, text=body)

    door = Gateway("http://door.invalid", "k")
    door._client = httpx.Client(base_url=door.url, transport=httpx.MockTransport(answer))
    return door, asked


def event(number: int, name: str, state: str) -> str:
    counts = '{"fetched": 1, "requests": 1}'
    data = f'{{"state": "{state}", "counts": {counts}, "progress": 0.5, "error": null, "resources": []}}'
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n"


def test_run_is_followed_over_a_lost_connection_from_the_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "AGAIN_S", 0.0)
    door, asked = streaming(
        event(1, "progress", "running"), httpx.ConnectError, event(2, "done", "succeeded") + event(3, "progress", "x")
    )
    assert [run["state"] for run in door.run_events("r")] == ["running", "succeeded"]
    assert asked == ["", "1", "1"]


def test_followed_run_that_failed_is_told() -> None:
    door, _ = streaming(event(1, "failed", "cancelled"))
    with pytest.raises(Told, match="cancelled"):
        follow(door, "r", screen=None)


def test_gateway_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "AGAIN_S", 0.0)
    door, _ = streaming(*[httpx.ConnectError] * 99)
    with pytest.raises(Told, match="does not answer") as told:
        list(door.run_events("r"))
    assert "sluice run show r" in told.value.hint


def answering(status: int, body: str) -> Gateway:
    door = Gateway("http://door.invalid", "k")
    answer = httpx.MockTransport(lambda _: httpx.Response(status, text=body))
    door._client = httpx.Client(base_url=door.url, transport=answer)
    return door


@pytest.mark.parametrize(("status", "body"), [(200, "<html>"), (502, "<html>Bad gateway"), (404, "")])
def test_answer_of_something_else_says_how_to_find_out_what_answers(status: int, body: str) -> None:
    with pytest.raises(Told, match=str(status)) as told:
        answering(status, body).get("/v1/providers")
    assert "sluice status" in told.value.hint


def test_fault_of_a_service_names_the_request_to_look_for_in_the_logs() -> None:
    body = '{"type": "/problems/internal", "title": "Something failed", "status": 500, "requestId": "req-00000001"}'
    with pytest.raises(Told) as told:
        answering(500, body).get("/v1/providers")
    assert "req-00000001" in told.value.hint
    assert ".sluice/logs" in told.value.hint
