"""One fresh workspace that copies repositories of the played provider, and what a test may ask about it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from libs.common.testing.eventually import eventually
from libs.local.client import Json, Refused, Told
from libs.local.demo.following import FINAL
from libs.local.demo.wanted import FEATURES, PROVIDER, SANDBOX_TOKEN
from tests.chaos.stack import Stack
from tests.chaos.verdict import Verdict, judge

# A page is one transaction, and now() is its start: sources of one page share the moment.
PAGES = """
SELECT count(DISTINCT created_at) FROM sync.source
WHERE integration_id = $1 AND ($2::timestamptz IS NULL OR created_at < $2)
  AND ($3::timestamptz IS NULL OR created_at > $3)
"""
INDEXED = """
SELECT count(*) FROM chunker.indexed_source
WHERE integration_id = $1 AND ($2::timestamptz IS NULL OR indexed_at < $2)
  AND ($3::timestamptz IS NULL OR indexed_at > $3)
"""
WAITING = """
SELECT status, count(*) FROM sync.source
WHERE integration_id = $1 AND status IN ('pending', 'processing') GROUP BY status
"""


# Sources of which no event is in the topic, or one still waits for it.
UNTOLD = """
SELECT count(*) FROM sync.source s
LEFT JOIN (SELECT key, bool_and(published_at IS NOT NULL) AS sent FROM sync.outbox WHERE topic = 'source.changed'
           GROUP BY key) o ON o.key = s.id
WHERE s.integration_id = $1 AND o.sent IS NOT TRUE
"""


@dataclass
class Syncing:
    stack: Stack
    workspace: str
    repositories: Sequence[str]
    since: int
    integration: str = ""

    async def pages(self, *, before: datetime | None = None, after: datetime | None = None) -> int:
        """Committed pages that brought sources, by the database's clock (this machine's)."""
        return await self.stack.number(PAGES, self.integration, before, after)

    async def indexed(self, *, before: datetime | None = None, after: datetime | None = None) -> int:
        return await self.stack.number(INDEXED, self.integration, before, after)

    async def untold(self) -> int:
        return await self.stack.number(UNTOLD, self.integration)

    async def reach(self, *, pages: int, indexed: int = 0, seconds: float = 30.0, interval: float = 0.02) -> None:
        async def there() -> bool:
            return await self.pages() >= pages and await self.indexed() >= indexed

        await eventually(there, timeout=seconds, interval=interval)

    def last_run(self) -> Json | None:
        found = self.stack.door.get(f"/v1/integrations/{self.integration}/sync-runs")["items"]
        return found[0] if found else None

    def succeeded(self) -> None:
        """The newest run, that is. A part that is coming back is "not yet"."""
        try:
            run = self.last_run()
        except Told as told:
            raise AssertionError(told.text) from told
        assert run is not None, "no run yet"
        assert run["state"] in FINAL, f"the run is {run['state']}: {run['counts']}"
        assert run["state"] == "succeeded", run["error"]

    async def at_rest(self) -> None:
        """The newest run succeeded, and no source waits for the chunker."""
        self.succeeded()
        waiting = await self.stack.rows(WAITING, self.integration)
        assert not waiting, f"not searchable yet: {[tuple(row) for row in waiting]}"

    async def settle(self, seconds: float) -> Verdict:
        """What stands when nothing is under way any more, at most after `seconds`."""
        await eventually(self.at_rest, timeout=seconds, interval=0.2)
        return await self.verdict()

    async def verdict(self) -> Verdict:
        return await judge(self.stack, self.workspace, self.integration, self.repositories)

    async def sync_again(self) -> None:
        """A run of its own, so that what a lost delivery told is taken up: one under way may have read past it."""
        await eventually(self._nothing_runs, timeout=60.0, interval=0.2)
        await patiently(self.stack, "POST", f"/v1/integrations/{self.integration}/sync")

    def _nothing_runs(self) -> bool:
        """A part that is coming back is "not yet"; before the first run nothing was read."""
        try:
            run = self.last_run()
        except Refused as refused:
            return refused.status == 404
        except Told:
            return False
        return run is None or run["state"] in FINAL

    def fetches(self) -> Counter[str]:
        """How often each page or object of ours was sent since this began, by the provider's own log."""
        ours = [f"/repositories/{self.stack.control.truth(name)['id']}/" for name in self.repositories]
        entries = self.stack.control.requests(self.since)["items"]
        return Counter(
            one["path"]
            for one in entries
            if one["method"] == "GET" and one["status"] == 200 and any(place in one["path"] for place in ours)
        )


async def begin(stack: Stack, *repositories: str, monitor: bool = False) -> Syncing:
    """Connects in a workspace of its own; returns once the first run is there."""
    workspace = f"chaos-{uuid4().hex[:12]}"
    syncing = Syncing(stack, workspace, repositories, since=stack.control.last_request())
    await patiently(stack, "PUT", f"/v1/workspaces/{workspace}")
    body = {
        "provider": PROVIDER, "token": SANDBOX_TOKEN, "features": FEATURES, "resources": list(repositories),
        "monitorChanges": monitor, "pollingEnabled": False,
    }  # fmt: skip
    made = await patiently(stack, "POST", f"/v1/workspaces/{workspace}/integrations", body)
    syncing.integration = made["id"]
    return syncing


async def patiently(stack: Stack, method: str, path: str, body: Json | None = None) -> Json:
    """Asked again while a part is coming back."""

    async def asked() -> list[Json]:
        return await asyncio.to_thread(_ask_once, stack, method, path, body)

    return (await eventually(asked, timeout=30.0, interval=0.2))[0]


def _ask_once(stack: Stack, method: str, path: str, body: Json | None) -> list[Json]:
    """Empty when it has to be asked again. A conflict after a lost answer is what the first try has made."""
    try:
        return [stack.door.ask(method, path, body=body)]
    except Refused as refused:
        if refused.status == 409 and path.endswith("/integrations"):
            return list(stack.door.get(path)["items"][:1])
        if refused.status < 500 and refused.status != 404:
            raise
    except Told:
        pass
    return []


def seed(stack: Stack, repository: str, *, issues: int, files: int = 0) -> str:
    stack.control.ask("POST", "seed", {"issues": issues, "repository": repository})
    if files:
        texts = {f"notes/{number:03}.md": f"# Note {number}\n\nOne of {files}.\n" for number in range(files)}
        stack.control.change("push", repository=repository, files=texts, message="Notes")
    return repository


def slow_down(stack: Stack, repository: str, *, after_pages: int, seconds: float) -> None:
    """From then on each page of that repository's issues comes late, so that a test can strike in between."""
    found = stack.control.truth(repository)["id"]
    fault = {"match": f"/repositories/{found}/issues\\?", "kind": "slow", "after": after_pages + 1, "times": 0}
    stack.control.ask("POST", "faults", {**fault, "seconds": seconds})
