"""What only a repair can help: rows of the consumer's own schema, never a topic, listed and replayed by SQL."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from libs.common.bus.policy import error_code, error_text
from libs.common.bus.record import Record
from libs.common.database.engine import Database
from libs.common.database.transaction import Row

if TYPE_CHECKING:
    from libs.common.bus.consume import Consumers

# One row an event and consumer, however often a broker delivers it: the last failure is the one that counts.
PARK = """
INSERT INTO dead_letter (id, workspace_id, consumer, topic, kafka_partition, kafka_offset, cluster_id, key, headers,
                         body, error_code, error, attempts)
VALUES (:id, :workspace_id, :consumer, :topic, :partition, :offset, :cluster_id, :key, CAST(:headers AS jsonb), :body,
        :error_code, :error, :attempts)
ON CONFLICT (id) DO UPDATE SET kafka_partition = excluded.kafka_partition, kafka_offset = excluded.kafka_offset,
  cluster_id = excluded.cluster_id, error_code = excluded.error_code, error = excluded.error,
  attempts = excluded.attempts, parked_at = excluded.parked_at, replayed_at = NULL
"""
COLUMNS = """id, workspace_id, consumer, topic, kafka_partition, kafka_offset, cluster_id, key, headers, body,
error_code, error, attempts, parked_at, replayed_at"""
LIST = f"SELECT {COLUMNS} FROM dead_letter WHERE replayed_at IS NULL ORDER BY parked_at, id LIMIT :limit"  # noqa: S608
FIND = f"SELECT {COLUMNS} FROM dead_letter WHERE id = ANY(CAST(:ids AS text[])) ORDER BY parked_at, id"  # noqa: S608
ASK = """
UPDATE dead_letter SET replay_asked_at = now() WHERE replayed_at IS NULL AND id = ANY(CAST(:ids AS text[]))
"""
CLAIM_ASKED = """
UPDATE dead_letter SET replay_asked_at = NULL
WHERE id IN (SELECT id FROM dead_letter WHERE replay_asked_at IS NOT NULL AND replayed_at IS NULL
             ORDER BY parked_at LIMIT 100 FOR UPDATE SKIP LOCKED)
RETURNING id
"""
DONE = "UPDATE dead_letter SET replayed_at = now() WHERE id = :id"
AGAIN = """
UPDATE dead_letter SET attempts = attempts + 1, error_code = :error_code, error = :error WHERE id = :id
"""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """`error` is a text of ours; `headers` and `body` are the bytes as they came."""

    id: str
    workspace_id: str
    consumer: str
    topic: str
    partition: int
    offset: int
    cluster_id: str
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    body: bytes | None
    error_code: str
    error: str
    attempts: int
    parked_at: datetime
    replayed_at: datetime | None


class Replayed(msgspec.Struct, frozen=True):
    done: tuple[str, ...]
    failed: tuple[str, ...]


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer knows about a record that it gives up; `event_id` is empty when the headers cannot be read."""

    consumer: str
    log_id: str
    event_id: str
    workspace_id: str
    error: BaseException
    attempts: int


async def park(db: Database, record: Record, about: Parked) -> str:
    """Answers the id of the row. A second parking of the same event changes that row."""
    letter_id = _identity(record, about)
    async with db.queue() as tx:
        await tx.execute(
            PARK,
            id=letter_id,
            workspace_id=about.workspace_id,
            consumer=about.consumer,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            cluster_id=about.log_id,
            key=record.key,
            headers=msgspec.json.encode([_shown(name, value) for name, value in record.headers]).decode(),
            body=record.value,
            error_code=error_code(about.error),
            error=error_text(about.error),
            attempts=about.attempts,
        )
    return letter_id


async def list_dead_letters(db: Database, limit: int = 100) -> list[DeadLetter]:
    """Those not replayed, oldest first."""
    async with db.queue() as tx:
        return [_letter(row) for row in await tx.fetch_all(LIST, limit=limit)]


async def ask_replay(db: Database, ids: Sequence[str]) -> int:
    """The running consumers take them within seconds; an operator may run the same UPDATE by hand."""
    async with db.queue() as tx:
        return await tx.execute(ASK, ids=list(ids))


async def replay_asked(db: Database, consumers: Consumers, deps: object) -> Replayed:
    async with db.queue() as tx:
        ids = [str(row["id"]) for row in await tx.fetch_all(CLAIM_ASKED)]
    return await replay(db, ids, consumers, deps) if ids else Replayed((), ())


async def replay(db: Database, ids: Sequence[str], consumers: Consumers, deps: object) -> Replayed:
    """One call of the handler for each, by the path of a fresh message; a letter that fails again stays a letter."""
    async with db.queue() as tx:
        letters = [_letter(row) for row in await tx.fetch_all(FIND, ids=list(ids))]
    done: list[str] = []
    failed: list[str] = []
    for letter in letters:
        error = await consumers.try_once(as_record(letter), deps)
        async with db.queue() as tx:
            if error is None:
                await tx.execute(DONE, id=letter.id)
            else:
                await tx.execute(AGAIN, id=letter.id, error_code=error_code(error), error=error_text(error))
        (done if error is None else failed).append(letter.id)
    return Replayed(tuple(done), tuple(failed))


class ReplayedRecord(msgspec.Struct, frozen=True):
    """A letter as the record it was."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def as_record(letter: DeadLetter) -> ReplayedRecord:
    at = int(letter.parked_at.timestamp() * 1000)
    return ReplayedRecord(letter.topic, letter.partition, letter.offset, at, letter.key, letter.body, letter.headers)


def _identity(record: Record, about: Parked) -> str:
    """By event id if there is one, so that a fact published twice is one letter; else by place, time and bytes."""
    parts: Iterable[object] = (
        (about.event_id, record.value)
        if about.event_id
        else (about.log_id, record.partition, record.offset, record.timestamp, record.headers, record.value)
    )
    digest = sha256()
    for part in (about.consumer, record.topic, *parts):
        text = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(text).to_bytes(8, "big") + text)
    return digest.hexdigest()[:40]


def _shown(name: str, value: bytes | None) -> dict[str, str | None]:
    """Text where it is text, so that SQL can read it."""
    if value is None:
        return {"name": name, "text": None}
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    return {"name": name, "base64": b64encode(value).decode()} if "\0" in text else {"name": name, "text": text}


def _bytes(shown: dict[str, Any]) -> tuple[str, Any]:
    if "base64" in shown:
        return shown["name"], b64decode(shown["base64"])
    return shown["name"], None if shown["text"] is None else shown["text"].encode()


def _letter(row: Row) -> DeadLetter:
    kept = {name: row[name] for name in DeadLetter.__struct_fields__ if name in row}
    headers = row["headers"] if isinstance(row["headers"], list) else msgspec.json.decode(row["headers"])
    return DeadLetter(
        **{
            **kept,
            "partition": row["kafka_partition"],
            "offset": row["kafka_offset"],
            "headers": tuple(_bytes(one) for one in headers),
        }
    )
