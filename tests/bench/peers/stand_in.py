"""One GitHub for all that are measured: issues of some 7 KB, `since`, Link paging and ETags, made while they are sent.

Run by `python -m tests.bench.peers.stand_in <issues>`: prints its port, serves until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import uvicorn

REPOSITORY = "bench/large"
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=1)
PAGE = 100
KEPT = {"state", "sort", "direction", "since", "per_page"}
WORDS = "the scheduler keeps a lease while the importer retries a page that the proxy cut off after the header ".split()
TOKEN = {"token": "ghp_bench", "version": 1, "expires_at": None, "provider": "github", "config": {}}
TEXTS = 64

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class StandIn:
    """Counts what a provider would count; `/counts` answers and forgets it."""

    def __init__(self, issues: int, address: str) -> None:
        self._issues = issues
        self._address = address
        self._forget()

    def _forget(self) -> None:
        self.counts = {"requests": 0, "not_modified": 0, "bytes": 0}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        path, headers = scope["path"], dict(scope["headers"])
        status, sent, body = self._answer(path, scope["query_string"].decode(), headers)
        if not path.startswith(("/internal/", "/counts")):
            self.counts["requests"] += 1
            self.counts["not_modified"] += status == 304
            self.counts["bytes"] += len(body)
        told = {**LIMITS, **sent, "content-type": "application/json", "content-length": str(len(body))}
        pairs = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, path: str, query: str, headers: Mapping[bytes, bytes]) -> tuple[int, dict[str, str], bytes]:
        if path == "/counts":
            counted = json.dumps(self.counts).encode()
            self._forget()
            return 200, {}, counted
        if path.endswith("/access-token"):
            return 200, {}, json.dumps(TOKEN).encode()
        sent, body = self._read(path, query)
        if headers.get(b"if-none-match", b"").decode() == sent.get("etag"):
            return 304, {"etag": sent["etag"]}, b""
        return 200, sent, body() if callable(body) else body

    def _read(self, path: str, query: str) -> tuple[dict[str, str], bytes | Callable[[], bytes]]:
        if path.endswith("/issues/comments"):
            return {"etag": '"none"'}, b"[]"
        if path.endswith("/issues"):
            return self._page(path, query)
        if path == "/graphql":
            return {}, json.dumps({"data": GRAPH}).encode()
        return {"etag": '"repository"'}, json.dumps({"resources": {}} if path == "/rate_limit" else REPO).encode()

    def _page(self, path: str, query: str) -> tuple[dict[str, str], Callable[[], bytes]]:
        asked = {name: values[0].replace(" ", "+") for name, values in parse_qs(query).items()}
        at = int(asked.get("after", 0)) or self._first_since(asked.get("since"))
        end = min(at + int(asked.get("per_page", PAGE)), self._issues)
        sent = {"etag": f'"{self._issues}-{at}-{end}"'}
        if end < self._issues:
            kept = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in asked.items() if name in KEPT)
            sent["link"] = f'<{self._address}{path}?{kept}&after={end}>; rel="next"'
        return sent, lambda: b"[" + b",".join(issue(number) for number in range(at, end)) + b"]"

    def _first_since(self, since: str | None) -> int:
        if since is None:
            return 0
        return min(max(-(-(datetime.fromisoformat(since) - FIRST) // STEP), 0), self._issues)


LIMITS = {
    "x-ratelimit-limit": "10000000", "x-ratelimit-remaining": "9999999", "x-ratelimit-used": "1",
    "x-ratelimit-reset": "4102444800", "x-ratelimit-resource": "core",
}  # fmt: skip
API = "https://api.github.example"


def _user(login: str) -> dict[str, Any]:
    links = ("followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events")
    own = {f"{name}_url": f"{API}/users/{login}/{name}" for name in (*links, "received_events")}
    return {
        "login": login, "id": 1000 + len(login), "node_id": "MDQ6VXNlcjE=", "avatar_url": f"{API}/u/{login}?v=4",
        "gravatar_id": "", "url": f"{API}/users/{login}", "html_url": f"https://github.example/{login}", **own,
        "type": "User", "site_admin": False,
    }  # fmt: skip


REPO = {
    "id": 1, "node_id": "R_1", "name": "large", "full_name": REPOSITORY, "private": False, "owner": _user("bench"),
    "html_url": f"https://github.example/{REPOSITORY}", "description": "Many issues", "fork": False, "topics": [],
    "url": f"{API}/repos/{REPOSITORY}", "default_branch": "main", "archived": False, "language": "Python",
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "pushed_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
GRAPH = {"repo0": {"nameWithOwner": REPOSITORY, "databaseId": 1}, "rateLimit": {"cost": 1}}


def _labels() -> list[dict[str, Any]]:
    return [
        {
            "id": at, "node_id": f"L_{at}", "url": f"{API}/repos/{REPOSITORY}/labels/{name}", "name": name,
            "color": "d73a4a", "default": False, "description": f"What is {name}",
        }
        for at, name in enumerate(("bug", "importer", "needs-triage"))
    ]  # fmt: skip


def _template(text: int) -> list[bytes]:
    """One issue, cut where its number (%N) and its moment (%T) stand; the texts differ as those of people do."""
    words = [WORDS[(at * (text + 3) + at // 7) % len(WORDS)] for at in range(430)]
    lines = [" ".join(words[at : at + 14]) for at in range(0, len(words), 14)]
    url = f"{API}/repos/{REPOSITORY}/issues/%N"
    links = {f"{name}_url": f"{url}/{name}" for name in ("labels", "comments", "events", "timeline")}
    reactions = {"url": f"{url}/reactions", "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0, "heart": 0}
    found = {
        "url": url, "repository_url": f"{API}/repos/{REPOSITORY}", **links, "id": "%N", "node_id": "I_%N",
        "html_url": f"https://github.example/{REPOSITORY}/issues/%N", "number": "%N", "title": f"%N {lines[0]}",
        "user": _user("ada-lovelace"), "labels": _labels(), "state": "open", "locked": False, "milestone": None,
        "assignee": _user("grace-hopper"), "assignees": [_user("grace-hopper")], "comments": 0,
        "created_at": "%T", "updated_at": "%T", "closed_at": None, "author_association": "MEMBER", "type": None,
        "active_lock_reason": None, "body": "\n".join(lines), "reactions": reactions, "state_reason": None,
    }  # fmt: skip
    return json.dumps(found).replace('"%N"', "%N").encode().split(b"%N")


_TEMPLATES = [_template(text) for text in range(TEXTS)]


def issue(at: int) -> bytes:
    number, moment = str(at + 1).encode(), (FIRST + at * STEP).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    return moment.join(number.join(_TEMPLATES[at % TEXTS]).split(b"%T"))


async def main(issues: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = StandIn(issues, f"http://127.0.0.1:{port}")
    config = uvicorn.Config(app, http="httptools", loop="uvloop", lifespan="off", log_level="warning", access_log=False)
    print(port, flush=True)
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
