"""Following the feed: each question goes on where the last answer ended, and the script learns where that is."""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
import pytest

from libs.cli import changes
from libs.local.client import Gateway


class Door(Gateway):
    """Tells `items` changes, one a question, then is interrupted as by a key."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.asked: list[dict[str, Any]] = []

    def get(self, path: str, params: Any = None) -> dict[str, Any]:
        self.asked.append(dict(params or {}))
        if len(self.asked) > self.items:
            raise KeyboardInterrupt
        at = len(self.asked)
        event = {"change": "created", "type": "issue", "cause": "poll", "version": at, "source_id": f"s{at}"}
        item = {"seq": at, "eventId": str(at), "topic": "t", "occurredAt": "2026-01-01T00:00:00Z", "event": event}
        return {"items": [item], "nextCursor": f"c{at}", "hasMore": False, "snapshot": False}


def test_follower_goes_on_at_the_last_cursor_and_lets_the_service_wait() -> None:
    door = Door(9)
    pages = list(islice(changes.followed(door, "/changes", {"limit": 5, "type": "issue"}), 3))
    assert [page["nextCursor"] for page in pages] == ["c1", "c2", "c3"]
    assert [asked.get("cursor") for asked in door.asked] == [None, "c1", "c2"]
    assert all(asked["wait"] == changes.WAIT_S and asked["type"] == "issue" for asked in door.asked)


def test_followed_changes_are_lines_that_say_where_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(changes.typer.Exit) as ended:
        changes._watch(Door(2), "/changes", {}, as_json=True)
    lines = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["seq"], line["cursor"]) for line in lines] == [(1, "c1"), (2, "c2")]
    assert ended.value.exit_code == 0
