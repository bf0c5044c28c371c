"""The page on loopback that takes what a browser brings back from a consent; the service decides what it is worth."""

import socket
from typing import Any

import httpx
import pytest

from libs.cli import consent
from libs.cli.consent import give_consent
from libs.common.http.problems import Problem
from libs.local.client import Refused, Told
from libs.local.ports import free_port


class Door:
    """The three routes of a consent, played; `refuses` is what completing answers first."""

    def __init__(self, *refuses: str, state: str = "pending") -> None:
        self.refuses, self.state = list(refuses), state
        self.sent: list[dict[str, Any]] = []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(body)
        if path.endswith("/connect"):
            return {"attemptId": "a", "authorizationUrl": "http://x/start", "expiresAt": "2099-01-01T00:00:00+00:00"}
        if self.refuses:
            code = self.refuses.pop(0)
            raise Refused(409, Problem(type=f"/problems/{code}", title="No", status=409))
        return {"id": "made"}

    def get(self, path: str) -> dict[str, Any]:
        return {"state": self.state, "detail": "the user said no", "integration": {"id": "elsewhere"}}


@pytest.fixture
def landing() -> str:
    return f"http://localhost:{free_port()}/back"


def browser(monkeypatch: pytest.MonkeyPatch, origin: str, *posts: tuple[str, str]) -> list[int]:
    """What a browser does as soon as the command waits."""
    answered: list[int] = []
    waiting = list(posts)
    take = consent._Landing.take

    def act(self: Any, seconds: float) -> Any:
        if waiting:
            sender, body = waiting.pop(0)
            answered.append(httpx.post(f"{origin}/brought", content=body, headers={"origin": sender}).status_code)
        return take(self, 0.05)

    monkeypatch.setattr(consent._Landing, "take", act)
    return answered


def test_handle_from_our_own_page_completes_and_nobody_elses_does(
    monkeypatch: pytest.MonkeyPatch, landing: str
) -> None:
    origin = landing.removesuffix("/back")
    answered = browser(
        monkeypatch, origin, ("http://evil.example", '{"handle": "x"}'), (origin, "[]"),
        (origin, '{"attemptId": "a", "handle": "forged"}'), (origin, '{"attemptId": "a", "handle": "h"}'),
    )  # fmt: skip
    door = Door("invalid_input", "oauth_state_unknown")
    assert give_consent(door, "/v1/workspaces/w/connect", {"provider": "github"}, landing) == {"id": "made"}  # type: ignore[arg-type]
    assert answered == [403, 200, 200, 200]
    assert door.sent == [
        {"provider": "github", "redirectUrl": landing}, {}, {"attemptId": "a", "handle": "forged"},
        {"attemptId": "a", "handle": "h"},
    ]  # fmt: skip


def test_code_on_an_applications_callback_address_completes(monkeypatch: pytest.MonkeyPatch, landing: str) -> None:
    monkeypatch.setattr(consent, "LOOK_S", 0.05)
    take = consent._Landing.take
    asked: list[str] = []

    def come_back(self: Any, seconds: float) -> Any:
        if not asked:
            asked.append(httpx.get(f"{landing}?provider=GitHub&code=c&state=s").text)
        return take(self, seconds)

    monkeypatch.setattr(consent._Landing, "take", come_back)
    door = Door()
    assert give_consent(door, "/v1/workspaces/w/connect", {}, landing) == {"id": "made"}  # type: ignore[arg-type]
    assert door.sent[1] == {"code": "c", "state": "s"}
    assert "close this window" in asked[0]


@pytest.mark.parametrize("state", ["denied", "failed", "expired"])
def test_attempt_that_ended_otherwise_is_told(monkeypatch: pytest.MonkeyPatch, landing: str, state: str) -> None:
    monkeypatch.setattr(consent, "LOOK_S", 0.01)
    with pytest.raises(Told, match="the user said no"):
        give_consent(Door(state=state), "/v1/workspaces/w/connect", {}, landing)  # type: ignore[arg-type]


def test_attempt_completed_by_somebody_else_ends_the_wait(monkeypatch: pytest.MonkeyPatch, landing: str) -> None:
    monkeypatch.setattr(consent, "LOOK_S", 0.01)
    made = give_consent(Door(state="connected"), "/v1/workspaces/w/connect", {}, landing)  # type: ignore[arg-type]
    assert made == {"id": "elsewhere"}


@pytest.mark.parametrize("url", ["https://app.example/", "http://localhost/", "ftp://localhost:1/", "nonsense"])
def test_page_that_cannot_be_served_here_is_told_before_anything_is_asked(url: str) -> None:
    door = Door()
    with pytest.raises(Told, match="cannot"):
        give_consent(door, "/v1/workspaces/w/connect", {}, url)  # type: ignore[arg-type]
    assert door.sent == []


def test_taken_port_is_told_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Told) as told:
            give_consent(Door(), "/c", {}, f"http://localhost:{other.getsockname()[1]}/")  # type: ignore[arg-type]
    assert "--redirect-url" in told.value.hint
