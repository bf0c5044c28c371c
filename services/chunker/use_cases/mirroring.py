"""Telling an engine of each source that changed: what it must hold is kept before it is told, and let go after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from libs.common.database.engine import Database
from libs.common.ids import new_id
from services.chunker.domain.mirroring import Mirror, MirrorWanted, Told
from services.chunker.repository import generations, mirror


class Intended(msgspec.Struct, frozen=True):
    """`pks` by source: what the engine holds of it once it is told."""

    wanted: Sequence[MirrorWanted]
    told: Told
    pks: Mapping[str, list[int]]


async def living_mirror(db: Database) -> Mirror | None:
    async with db.queue() as tx:
        return await mirror.living(tx)


async def begin_mirror(db: Database) -> Mirror:
    """Every source is wanted in it. Whoever dies before the engine has made it leaves one that counts as lost."""
    begun = Mirror(id=new_id(), state="filling")
    async with db.queue() as tx:
        await mirror.begin(tx, begun.id)
    return begun


async def end_mirror(db: Database) -> None:
    async with db.queue() as tx:
        await mirror.end(tx)


async def ended_mirrors(db: Database) -> list[Mirror]:
    async with db.queue() as tx:
        return await mirror.ended(tx)


async def forget_mirror(db: Database, ended: Mirror) -> None:
    async with db.queue() as tx:
        await mirror.forget(tx, ended.id)


async def dimensions(db: Database) -> dict[int, int]:
    """Of each generation of vectors that lives."""
    async with db.queue() as tx:
        return {one.id: one.dimension for one in await generations.living(tx)}


async def claim(db: Database, limit: int, lease_s: float) -> list[MirrorWanted]:
    async with db.queue() as tx:
        return await mirror.claim(tx, limit, lease_s)


async def intend(db: Database, wanted: Sequence[MirrorWanted], lease_s: float) -> Intended | None:
    """All of one workspace. None: others hold them now."""
    workspace = wanted[0].workspace_id
    async with db.transaction(workspace) as tx:
        ours = set(await mirror.hold(tx, wanted, lease_s))
        held = [one for one in wanted if one.source_id in ours]
        if not held:
            return None
        documents = await mirror.documents(tx, sorted(ours))
        pks: dict[str, list[int]] = defaultdict(list)
        for document in documents:
            pks[document.source_id].append(document.pk)
        gone = [pk for one in held for pk in await mirror.intend(tx, workspace, one.source_id, pks[one.source_id])]
    version = max(one.version for one in held)
    return Intended(held, Told(workspace=workspace, documents=documents, gone=gone, version=version), pks)


async def settle(db: Database, intended: Intended) -> None:
    async with db.transaction(intended.told.workspace) as tx:
        await mirror.done(tx, intended.wanted, intended.pks)


async def settle_erased(db: Database, wanted: MirrorWanted) -> None:
    async with db.queue() as tx:
        await mirror.done(tx, [wanted], {})


async def postpone(db: Database, wanted: Sequence[MirrorWanted], seconds: float) -> None:
    async with db.queue() as tx:
        await mirror.postpone(tx, wanted, seconds)


async def is_filled(db: Database) -> bool:
    async with db.queue() as tx:
        return await mirror.is_filled(tx)


async def switch_when_whole(db: Database, living: Mirror) -> bool:
    async with db.queue() as tx:
        return await mirror.switch_when_whole(tx, living.id)


async def backlog(db: Database) -> tuple[int, float]:
    async with db.queue() as tx:
        return await mirror.backlog(tx)
