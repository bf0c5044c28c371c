"""Vectors on their way: what lacks one, what was made, and the switch from one model to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from libs.common.database.engine import Database
from services.chunker.domain.embedding import EmbedWanted, Generation, Passage, Vector
from services.chunker.repository import embedding_queue, generations, mirror, vectors


async def begin_generation(db: Database, name: str, dimension: int) -> None:
    """A model that has no generation begins one, and all sources are wanted in it."""
    async with db.queue() as tx:
        await generations.begin(tx, name, dimension)


async def living_generations(db: Database) -> list[Generation]:
    async with db.queue() as tx:
        return await generations.living(tx)


async def claim(db: Database, generation: Generation, limit: int, lease_s: float) -> list[EmbedWanted]:
    async with db.queue() as tx:
        return await embedding_queue.claim(tx, generation.id, limit, lease_s)


async def read_lacking(
    db: Database, wanted: Sequence[EmbedWanted], limit: int
) -> tuple[list[Passage], dict[bytes, bytes]]:
    """All of one workspace; and the vectors that some of these texts have there already, by their hash."""
    generation = wanted[0].generation
    async with db.transaction(wanted[0].workspace_id) as tx:
        passages = await vectors.lacking(tx, generation, [one.source_id for one in wanted], limit)
        made = await vectors.made(tx, generation, {passage.text_hash for passage in passages}) if passages else {}
    return passages, made


async def save_vectors(db: Database, wanted: Sequence[EmbedWanted], embedded: Mapping[Passage, Vector]) -> int:
    """Those of chunks that are still there; a source that is whole is wanted no longer."""
    generation = wanted[0].generation
    async with db.transaction(wanted[0].workspace_id) as tx:
        sources = await embedding_queue.held(tx, wanted)
        if not sources:
            return 0
        if embedded:
            await mirror.want(tx, wanted[0].workspace_id, sources)
        saved = await vectors.save(tx, generation, sources, embedded) if embedded else 0
        await embedding_queue.settle(tx, generation, sources)
        return saved


async def postpone(db: Database, wanted: Sequence[EmbedWanted], seconds: float) -> None:
    async with db.transaction(wanted[0].workspace_id) as tx:
        await embedding_queue.postpone(tx, wanted, seconds)


async def switch_when_whole(db: Database, name: str) -> bool:
    async with db.queue() as tx:
        return await generations.switch_when_whole(tx, name)


async def drop_retired(db: Database, most: int, after_s: float) -> bool:
    async with db.queue() as tx:
        return await generations.drop_retired(tx, most, after_s)


async def count_waiting(db: Database, generation: Generation) -> int:
    """Sources with chunks that have no vector yet."""
    async with db.queue() as tx:
        return await embedding_queue.waiting(tx, generation.id)
