"""Dead letters of every service: what could not be handled, and asking for it to be handled again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from libs.cli.asking import AsJson, Limit
from libs.cli.screen import emit, out, short, table
from libs.local.client import Json, Told, endpoints_of
from libs.local.endpoints import read_credentials
from libs.local.state import SERVICES, State, find_root

if TYPE_CHECKING:  # a database's client is a third of every other command's start
    from libs.common.bus.dead_letters import DeadLetter
    from libs.common.database.engine import Database

app = typer.Typer(help="Messages that a service gave up, kept as rows until they are handled.", no_args_is_help=True)
T = TypeVar("T")


@app.command("list")
def list_letters(limit: Limit = 100, as_json: AsJson = False) -> None:
    """What every service gave up, oldest first."""
    from libs.common.bus.dead_letters import list_dead_letters

    found = asyncio.run(_each(lambda db: list_dead_letters(db, limit)))
    items = [_shown(service, letter) for service, letters in found.items() for letter in letters]
    emit({"items": items}, as_json, lambda: _draw(items))


@app.command("replay")
def replay(
    letter: Annotated[str, typer.Argument(help="Its id, or `all`.")], limit: Limit = 100, as_json: AsJson = False
) -> None:
    """Ask the owner of a letter to handle it again; running services take it within seconds."""
    asked = asyncio.run(_each(lambda db: _replay(db, letter, limit)))
    count = sum(asked.values())
    if not count and letter != "all":
        raise Told(f"No open dead letter {letter}.", "`sluice dead-letters list` shows them.")
    emit(
        {"asked": count},
        as_json,
        lambda: out.print(f"Asked for {count} again; `sluice dead-letters list` shows the rest."),
    )


async def _replay(db: Database, letter: str, limit: int) -> int:
    from libs.common.bus.dead_letters import ask_replay, list_dead_letters

    ids = [one.id for one in await list_dead_letters(db, limit)] if letter == "all" else [letter]
    return await ask_replay(db, ids) if ids else 0


async def _each(work: Callable[[Database], Awaitable[T]]) -> dict[str, T]:
    """The same question to the schema of every service, as its worker role."""
    from libs.common.database.engine import Database

    endpoints_of(find_root())  # says what to do when nothing runs
    urls = read_credentials(State(find_root() / ".sluice")).services
    answers: dict[str, T] = {}
    for service in SERVICES:
        db = Database(service, app_url=urls[service].app, worker_url=urls[service].worker)
        try:
            answers[service] = await work(db)
        finally:
            await db.close()
    return answers


def _shown(service: str, letter: DeadLetter) -> Json:
    return {
        "id": letter.id, "service": service, "topic": letter.topic, "workspaceId": letter.workspace_id,
        "partition": letter.partition, "offset": letter.offset, "code": letter.error_code, "error": letter.error,
        "attempts": letter.attempts, "parkedAt": letter.parked_at.isoformat(),
    }  # fmt: skip


def _draw(items: list[dict[str, Any]]) -> None:
    columns = ("service", "topic", "code", "error", "attempts", "id")
    rows = [
        (one["service"], one["topic"], one["code"], short(one["error"]), str(one["attempts"]), one["id"])
        for one in items
    ]
    table(columns, rows, "No dead letters: everything was handled.")
