"""A commit at the provider, and the seconds until a search finds it; then a sync with nothing to do."""

from __future__ import annotations

import time
from dataclasses import dataclass

from libs.common.ids import new_id
from libs.local.client import Control, Gateway, Json
from libs.local.demo.counting import wait_until_indexed
from libs.local.demo.following import wait_for
from libs.local.demo.topics import messages, unread
from libs.local.demo.waiting import until
from libs.local.polling import polled

PATH = "docs/pushed-by-the-demo.md"
TEXT = """# A change made by the demo

The word {word} stands nowhere else: whoever finds it has seen this commit.
"""


SILENT_S = 1.0

# Whoever stands between a change and its search.
READERS = (("sluice-sync", "webhook.received"), ("sluice-chunker", "source.changed"))


@dataclass(frozen=True)
class Change:
    word: str
    seconds: float
    way: str
    hit: Json


@dataclass(frozen=True)
class Quiet:
    """A second sync of what is known: messages on two topics, and requests by the sandbox's own log."""

    events: int
    chunked: int
    not_modified: int
    requests: int


def backlog(kafka: str) -> int:
    return sum(unread(kafka, group, topic) for group, topic in READERS)


def catch_up(kafka: str) -> None:
    """The embedded broker keeps nothing: after a restart everything is told again, and changes nothing."""
    until(lambda: backlog(kafka) == 0 or None, seconds=120, failing="The services do not keep up with the broker")


def change_and_search(door: Gateway, control: Control, workspace: str, integration: str) -> Change:
    """Pushes a commit with a word that is nowhere else, and waits until a search answers it."""
    hooked = _hook_is_there(door, control, integration)
    word = f"quill{new_id().replace('-', '')[-12:]}"
    began = time.monotonic()
    control.change("push", files={PATH: TEXT.format(word=word)}, message="A change made by the demo")
    if not hooked:
        door.post(f"/v1/integrations/{integration}/sync")
    hit = until(
        lambda: _found(door, workspace, word), seconds=60, failing="The pushed commit was not found by a search"
    )
    return Change(word, time.monotonic() - began, "by hook" if hooked else "by a sync, no hook stands", hit)


def _hook_is_there(door: Gateway, control: Control, integration: str, seconds: float = 15.0) -> bool:
    """Whether the provider has a hook with today's address: another port since the last demo makes it a new one."""
    place = f"/v1/integrations/{integration}"
    address = door.get(f"{place}/webhook-endpoint")["url"]
    renewed = False

    def stands() -> bool:
        nonlocal renewed
        if address in {hook["url"] for hook in control.truth()["hooks"] if hook["active"]}:
            return True
        if not renewed and door.get(place)["webhook"]["state"] == "active":
            door.post(f"{place}/webhook-endpoint/rotate")  # a new secret is registered under the present address
            renewed = True
        return False

    return polled(stands, seconds=seconds, every=0.2) is not None


def _found(door: Gateway, workspace: str, word: str) -> Json | None:
    hits = door.post(f"/v1/workspaces/{workspace}/search", {"query": word, "limit": 1})["items"]
    return hits[0] if hits and word in hits[0]["chunk"]["text"] else None


def sync_unchanged(door: Gateway, control: Control, kafka: str, workspace: str, integration: str) -> Quiet:
    """Counts what one more sync says and asks while nothing has changed."""
    settle(door, workspace, integration)
    before = _silence(kafka)
    since = control.last_request()
    run = door.post(f"/v1/integrations/{integration}/sync")
    wait_for(door, run["id"], 120.0)
    wait_until_indexed(door, workspace)
    counts = control.requests(since)["counts"]
    after = _told(kafka)
    return Quiet(after[0] - before[0], after[1] - before[1], counts["notModified"], counts["total"])


def settle(door: Gateway, workspace: str, integration: str) -> None:
    """One sync takes up what a hook has only half told; then nothing is under way."""
    run = door.post(f"/v1/integrations/{integration}/sync")
    wait_for(door, run["id"], 120.0)
    wait_until_indexed(door, workspace)


def _told(kafka: str) -> tuple[int, int]:
    return messages(kafka, "source.changed"), messages(kafka, "source.indexed")


def _silence(kafka: str) -> tuple[int, int]:
    """What was told when nothing more has been for a while: what left the index is told after its status is."""
    told, since = _told(kafka), time.monotonic()

    def silent() -> bool:
        nonlocal told, since
        if (now := _told(kafka)) != told:
            told, since = now, time.monotonic()
        return time.monotonic() - since >= SILENT_S

    until(silent, seconds=60.0, failing="The topics did not fall silent", hint="`sluice status` tells what works.")
    return told
