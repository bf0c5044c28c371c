"""The anchor of the apply bench: what the apply path writes of new objects, by bare SQL and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.events.source import SourceChanged
from libs.common.ids import new_id
from libs.common.provider.sync import Observed
from libs.common.telemetry.tracing import current_traceparent
from services.sync.domain.content import seen_hash

SOURCES = """
INSERT INTO source (id, workspace_id, integration_id, resource_id, provider, external_key, type, name, path, url,
  content, body, content_type, content_hash, seen_hash, revision, metadata, author, provider_updated_at, version)
SELECT u.id, $1, 'i', $2, 'p', u.key, u.type, u.name, u.path, u.url, u.content, NULL, u.content_type, u.content_hash,
  u.seen_hash, u.revision, u.metadata::jsonb, u.author, u.updated_at, $3
FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
  $12::text[], $13::bytea[], $14::text[], $15::text[], $16::text[], $17::timestamptz[])
  AS u(id, key, type, name, path, url, content, content_type, content_hash, seen_hash, revision, metadata, author,
       updated_at)
"""
OUTBOX = """
INSERT INTO outbox (event_id, workspace_id, topic, key, payload, traceparent)
SELECT u.id, $1, 'source.changed', u.key, u.payload, $2 FROM unnest($3::text[], $4::text[], $5::bytea[])
  AS u(id, key, payload)
"""
FILES = """
INSERT INTO changed_file (workspace_id, resource_id, source_id, position, path, previous_path, status, additions,
  deletions, blob_id, previous_blob_id, patch)
SELECT $1, $2, u.* FROM unnest($3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::integer[],
  $9::integer[], $10::text[], $11::text[], $12::text[]) AS u
"""


async def insert_raw(tx: Transaction, resource: str, items: Sequence[Observed]) -> None:
    driver = await tx.driver()
    ids = [new_id() for _ in items]
    hashes = [sha256(item.content.encode()).hexdigest() for item in items]
    version = int(datetime.now(UTC).timestamp() * 1000)
    await driver.execute(
        SOURCES, tx.workspace, resource, version, ids, [item.key for item in items], [item.type for item in items],
        [item.name for item in items], [item.path for item in items], [item.url for item in items],
        [item.content for item in items], [item.content_type for item in items], hashes,
        [seen_hash(item) for item in items], [item.revision for item in items],
        [msgspec.json.encode(item.metadata).decode() for item in items], [item.author for item in items],
        [item.updated_at for item in items],
    )  # fmt: skip
    payloads = [
        msgspec.json.encode(
            SourceChanged(
                workspace_id=tx.workspace or "", source_id=source, integration_id="i", resource_id=resource,
                provider="p", type=item.type, change="created", version=version, content_hash=digest, url=item.url,
                occurred_at=item.updated_at or datetime.now(UTC), cause="poll",
                changed_paths=None if item.changed_files is None else len(item.changed_files),
            )
        )
        for source, digest, item in zip(ids, hashes, items, strict=True)
    ]  # fmt: skip
    events = [new_id() for _ in items]
    await driver.execute(OUTBOX, tx.workspace, current_traceparent(), events, ids, payloads)
    await _insert_files(tx, resource, ids, items)


async def _insert_files(tx: Transaction, resource: str, ids: Sequence[str], items: Sequence[Observed]) -> None:
    rows = [
        (source, at, file)
        for source, item in zip(ids, items, strict=True)
        for at, file in enumerate(item.changed_files or ())
    ]
    files = [file for _, _, file in rows]
    await (await tx.driver()).execute(
        FILES, tx.workspace, resource, [source for source, _, _ in rows], [at for _, at, _ in rows],
        [file.path for file in files], [file.previous_path for file in files], [file.status for file in files],
        [file.additions for file in files], [file.deletions for file in files], [file.blob_id for file in files],
        [file.previous_blob_id for file in files], [file.patch for file in files],
    )  # fmt: skip
