"""Comments, reviews and replies: stored apart, also while their source is still unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from libs.common.database.transaction import Transaction
from libs.common.provider.sync import Part
from services.sync.domain.content import storable


async def hashes(tx: Transaction, resource_id: str, keys: Sequence[str]) -> dict[tuple[str, str], bytes]:
    if not keys:
        return {}
    rows = await (await tx.driver()).fetch(
        "SELECT source_key, part_key, hash FROM source_part WHERE resource_id = $1 AND source_key = ANY($2::text[])",
        resource_id,
        list(keys),
    )
    return {(row[0], row[1]): row[2] for row in rows}


async def of_sources(tx: Transaction, resource_id: str, keys: Iterable[str]) -> dict[str, list[Part]]:
    rows = await (await tx.driver()).fetch(
        "SELECT source_key, part_key, author, created_at, body, url, label FROM source_part"
        " WHERE resource_id = $1 AND source_key = ANY($2::text[])",
        resource_id,
        list(keys),
    )
    found: dict[str, list[Part]] = {}
    for key, part_key, author, created_at, body, url, label in rows:
        part = Part(key=part_key, author=author, created_at=created_at, body=body, url=url, label=label)
        found.setdefault(key, []).append(part)
    return found


async def drop(tx: Transaction, resource_id: str, at: Sequence[tuple[str, str]]) -> None:
    if at:
        await (await tx.driver()).execute(
            "DELETE FROM source_part p USING unnest($2::text[], $3::text[]) AS u(source_key, part_key)"
            " WHERE p.resource_id = $1 AND p.source_key = u.source_key AND p.part_key = u.part_key",
            resource_id,
            [source for source, _ in at],
            [part for _, part in at],
        )


async def write(tx: Transaction, resource_id: str, parts: Sequence[tuple[str, Part, bytes]]) -> None:
    """Replaces: the row lock on the resource keeps two writers apart."""
    if not parts:
        return
    await drop(tx, resource_id, [(source, part.key) for source, part, _ in parts])
    await (await tx.driver()).execute(
        "INSERT INTO source_part (resource_id, workspace_id, source_key, part_key, author, label, created_at, url,"
        " body, hash) SELECT $1, $2, u.* FROM unnest($3::text[], $4::text[], $5::text[], $6::text[],"
        " $7::timestamptz[], $8::text[], $9::text[], $10::bytea[]) AS u",
        resource_id,
        tx.workspace,
        [source for source, _, _ in parts],
        [part.key for _, part, _ in parts],
        [storable(part.author) for _, part, _ in parts],
        [part.label for _, part, _ in parts],
        [part.created_at for _, part, _ in parts],
        [storable(part.url) for _, part, _ in parts],
        [storable(part.body) for _, part, _ in parts],
        [digest for _, _, digest in parts],
    )
