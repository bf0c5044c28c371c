"""What is stored of a source: its chunks, the way it came."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.engine import Database
from libs.common.database.transaction import Row
from libs.common.errors import NotFound
from libs.common.http.explained import Step
from libs.common.outbox.told import told_of
from services.chunker.explaining import index_steps, vector_steps
from services.chunker.repository import chunks, vectors, workspaces


async def read_chunks(db: Database, workspace: str, source_id: str, *, after: int, limit: int) -> Sequence[Row]:
    async with db.transaction(workspace) as tx:
        return await chunks.chunks(tx, source_id, after, limit)


async def explain_source(db: Database, workspace: str, source_id: str) -> list[Step]:
    """Raises NotFound for a workspace that never connected anything; an unknown source was simply never heard of."""
    async with db.transaction(workspace) as tx:
        if not await workspaces.knows(tx, workspace):
            raise NotFound("unknown workspace, or nothing is connected in it yet")
        told = await told_of(tx, source_id, limit=1)
        indexed = await chunks.source(tx, source_id)
        steps = index_steps(await chunks.wanted(tx, source_id), indexed, told[0] if told else None)
        return [*steps, *vector_steps(indexed, await vectors.share(tx, source_id))]
