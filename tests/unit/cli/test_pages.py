"""Whoever is told of a next page can ask for it."""

import inspect
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

from libs.cli import deletions, hooks, quarantine
from libs.local.client import Json

INTEGRATION = {"id": "i", "type": "github", "name": "Ours"}
LISTS: tuple[Callable[..., None], ...] = (
    deletions.list_held, deletions.list_sweeps, quarantine.list_items, hooks.list_deliveries, hooks.subscriptions,
)  # fmt: skip


class Door:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def pages(self, path: str) -> list[Json]:
        return [INTEGRATION]

    def get(self, path: str, params: dict[str, Any]) -> Json:
        self.asked.append(params)
        return {"items": [], "nextCursor": None}


@pytest.mark.parametrize("command", LISTS)
def test_list_goes_on_where_the_last_answer_ended(
    command: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door()

    @contextmanager
    def opened() -> Any:
        yield door

    monkeypatch.setattr(inspect.getmodule(command), "gateway", opened)
    command("github", cursor="c1")
    command("github")
    assert [asked.get("cursor") for asked in door.asked] == ["c1", None]
