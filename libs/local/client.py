"""The front door as the command line, the demo and the tests ask it: one key, JSON, and errors that say what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import msgspec

from libs.common.errors import SluiceError
from libs.common.http.problems import Problem
from libs.local.endpoints import Endpoints, read_endpoints
from libs.local.sse import ServerEvent, server_events
from libs.local.state import State

Json = dict[str, Any]
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
ENDS = ("done", "failed")
MOST_LOST = 20
AGAIN_S = 0.5
UNTYPED = "about:blank"  # RFC 9457: a problem of which nothing but the status is known
STRANGER = "No service of Sluice answers like that: `sluice status` tells what runs, and where."


class Told(Exception):
    """A failure in words for a person: what is wrong and, as `hint`, what to do next."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text, self.hint = text, hint


class Refused(Told):
    """The service answered with a problem; `status` and `code` are for programs."""

    def __init__(self, status: int, problem: Problem) -> None:
        field = (problem.pointer or "").strip("/")
        text = problem.detail or problem.title
        super().__init__(f"{field}: {text}" if field else text, _hint(problem))
        self.status, self.code, self.problem = status, problem.code, problem


HINTS = {
    "unauthenticated": "The key in .sluice/keys/api-key is not this installation's: `make down`, then `make up`.",
    "unknown_workspace": "Make it with `sluice workspace create`, or leave --workspace out.",
    "type_already_connected": "`sluice integrations` lists it; `sluice disconnect` makes room for another.",
    "token_refused": "Make a new token at the provider and connect again.",
    "auth_revoked": "Make a new token at the provider and connect again.",
    "dependency_down": "A part is restarting: `sluice status` tells which; try again.",
    "feature_off": "Switch the feature on at the integration, then restore again.",
    "too_many_followers": "Ask without --wait, or again later; more replicas of sync take more followers.",
    "contended": "Nothing was written; the same command again will do.",
    "invalid_cursor": "Leave the cursor out to start at the first page.",
    "cursor_expired": "`sluice changes --compact` tells every source as it is now, and where to go on.",
    "invalid_state": "`sluice integrations` shows what is paused or has lost its grant, `sluice runs` what has ended.",
    "other_account": "Give a token of the same account, or disconnect and connect the other one.",
    "not_found": "`sluice integrations` lists what is connected, `sluice runs` what was synced.",
    "provider_not_configured": "Set what is named there (see .env.example), then `make down` and `make up`.",
    "address_refused": "Only public addresses are called; ALLOWED_PRIVATE_ENDPOINTS names exceptions, host:port each.",
    "redirect_not_allowed": "Name a page on one of CORS_ALLOWED_ORIGINS with --redirect-url.",
    "oauth_attempt_expired": "Start again; the page is good for ten minutes.",
    "oauth_denied": "Start again and grant access at the provider.",
}


def endpoints_of(root: Path) -> Endpoints:
    """Raises Told when nothing runs there."""
    found = read_endpoints(State(root.resolve() / ".sluice"))
    if found is None:
        raise Told("Sluice is not running.", "Start it with `make up` (or `SANDBOX=1 make up` for the stand-ins).")
    return found


class Gateway:
    """Asks one installation; every answer is decoded JSON, every failure is Told."""

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=TIMEOUT)
        self.url = url

    @classmethod
    def of(cls, root: Path) -> Gateway:
        found = endpoints_of(root)
        return cls(found.gateway, Path(found.key_file).read_text().strip())

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Json:
        return self.ask("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        return self.ask("POST", path, body=body)

    def put(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        return self.ask("PUT", path, body=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Json:
        return self.ask("PATCH", path, body=body)

    def delete(self, path: str) -> Json:
        return self.ask("DELETE", path)

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Json:
        """An empty answer is an empty object."""
        try:
            answer = self._client.request(method, path, params=dict(params or {}), json=body)
        except httpx.HTTPError as error:
            raise Told(
                f"{self.url} does not answer ({type(error).__name__}).", "`sluice status` tells what runs."
            ) from error
        if answer.status_code >= 400:
            raise Refused(answer.status_code, _problem(answer))
        return _object(answer) if answer.content else {}

    def run_events(self, run_id: str) -> Iterator[Json]:
        """A run as often as it moves, the last time when it has ended; a lost connection is taken up again."""
        last, lost = "", 0
        while True:
            try:
                for event in self._streamed(f"/v1/sync-runs/{run_id}/events", last):
                    last, lost = event.id, 0
                    yield msgspec.json.decode(event.data, type=Json)
                    if event.name in ENDS:
                        return
            except httpx.HTTPError as error:
                lost += 1
                if lost > MOST_LOST:
                    raise Told(
                        f"{self.url} does not answer ({type(error).__name__}).",
                        f"`sluice status` tells what runs; the run goes on without us: `sluice run show {run_id}`.",
                    ) from error
            time.sleep(AGAIN_S)

    def _streamed(self, path: str, last: str) -> Iterator[ServerEvent]:
        headers = {"last-event-id": last} if last else {}
        with self._client.stream("GET", path, headers=headers) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise Refused(answer.status_code, _problem(answer))
            yield from server_events(answer.iter_lines())

    def pages(self, path: str, params: Mapping[str, str | int] | None = None) -> Iterator[Json]:
        """Every item of a list, page after page."""
        asked: dict[str, str | int] = dict(params or {})
        while True:
            page = self.get(path, asked)
            yield from page["items"]
            if not page.get("nextCursor"):
                return
            asked["cursor"] = page["nextCursor"]


class Control:
    """The control routes of one stand-in: what a test or the demo does at the provider's side."""

    def __init__(self, url: str, provider: str = "github") -> None:
        self._client = httpx.Client(base_url=f"{url}/_control/{provider}/", timeout=TIMEOUT)

    def change(self, op: str, **what: Any) -> Json:
        return self._ask("POST", "change", json={"op": op, **what})

    def truth(self, repository: str = "sluice/sluice") -> Json:
        """What the provider holds now of one repository."""
        found: Json = self._ask("GET", "truth", params={"repository": repository})["repositories"][0]
        return found

    def requests(self, since: int = 0, match: str = "") -> Json:
        return self._ask("GET", "requests", params={"since": since, "match": match})

    def last_request(self) -> int:
        return int(self._ask("GET", "requests", params={"items": "0"})["last"])

    def ask(self, method: str, route: str, body: Mapping[str, Any] | None = None) -> Json:
        return self._ask(method, route, json=body)

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, route: str, **how: Any) -> Json:
        try:
            answer = self._client.request(method, route, **how)
        except httpx.HTTPError as error:
            raise Told("The sandbox does not answer.", "`sluice status` tells what runs.") from error
        found = _object(answer)
        if answer.status_code >= 400:
            raise Told(f"The sandbox refused {route}: {found.get('error', answer.status_code)}")
        return found


def _object(answer: httpx.Response) -> Json:
    try:
        return msgspec.json.decode(answer.content, type=Json)
    except msgspec.DecodeError as error:
        told = f"{answer.request.url.path} answered {answer.status_code} with something that is no JSON."
        raise Told(told, STRANGER) from error


def _problem(answer: httpx.Response) -> Problem:
    try:
        return msgspec.json.decode(answer.content, type=Problem)
    except msgspec.DecodeError:
        title = f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}"
        return Problem(type=UNTYPED, title=title, status=answer.status_code)


def _hint(problem: Problem) -> str:
    if problem.code == SluiceError.code:
        return f"The services' logs in .sluice/logs tell why: look for {problem.request_id}."
    return STRANGER if problem.code == UNTYPED else HINTS.get(problem.code, "")
