"""Chunks with vectors by the thousand, copied as they lie: the administrator's COPY is bound by no workspace."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
CHUNKS = """
INSERT INTO chunk (workspace_id, source_id, id, ordinal, anchor, heading_path, start_byte, end_byte, tokens, words,
  context, text)
SELECT $1, $1 || '-' || (n / 100), $1 || '-' || n, n % 100, '', '{}', 0, 0, 1, 1, '', 'chunk ' || n
FROM generate_series(0, $2::integer - 1) n RETURNING pk
"""
SOURCES = """
INSERT INTO indexed_source (id, workspace_id, integration_id, resource_id, provider, type, name, version, content_hash,
  chunks, passages, words)
SELECT source_id, $1, 'i1', 'r1', 'github', 'file', source_id, 1, '', count(*), count(*), count(*)
FROM chunk WHERE workspace_id = $1 GROUP BY source_id ON CONFLICT DO NOTHING
"""
PLACES = "SELECT pk, source_id FROM chunk WHERE pk = ANY($1::bigint[]) ORDER BY pk"


async def load_chunks(
    admin: asyncpg.Connection[Any], workspace: str, generation: int, vectors: Sequence[bytes]
) -> list[int]:
    """A bare chunk for each vector (a halfvec's bytes), a hundred to a source. Answers their keys, in order."""
    pks = sorted(row["pk"] for row in await admin.fetch(CHUNKS, workspace, len(vectors)))
    await admin.execute(SOURCES, workspace)
    places = await admin.fetch(PLACES, pks)
    rows = ((workspace, row["source_id"], row["pk"], generation, one) for row, one in zip(places, vectors, strict=True))
    await copy_vectors(admin, rows)
    return pks


async def copy_vectors(admin: asyncpg.Connection[Any], rows: Iterable[tuple[str, str, int, int, bytes]]) -> None:
    """Rows of (workspace, source, chunk key, generation, halfvec) into `chunk_vector`, in COPY's own binary form."""
    columns = ["workspace_id", "source_id", "chunk_pk", "generation", "embedding"]
    content = io.BytesIO(SIGNATURE + b"".join(map(_row, rows)) + struct.pack(">h", -1))
    await admin.copy_to_table("chunk_vector", source=content, columns=columns, format="binary")


def _row(row: tuple[str, str, int, int, bytes]) -> bytes:
    workspace, source, pk, generation, vector = row
    fields = (workspace.encode(), source.encode(), struct.pack(">q", pk), struct.pack(">h", generation), vector)
    return struct.pack(">h", len(fields)) + b"".join(struct.pack(">i", len(one)) + one for one in fields)
