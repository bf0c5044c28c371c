"""Reading the copy: for people over HTTP, for the indexer in batches that are bounded by ids and by bytes."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Row
from libs.common.errors import InvalidInput, NotFound
from libs.common.internal import MAX_BATCH_BYTES, MAX_BATCH_IDS, SourceBatch, SourceBatchAsked, SourceItem
from services.sync.deps import Deps
from services.sync.repository import catalogue, changed_files
from services.sync.repository.catalogue import Filter
from services.sync.repository.changed_files import Narrowed
from services.sync.use_cases.asking import require_workspace


async def read_batch(asked: SourceBatchAsked, *, deps: Deps) -> SourceBatch:
    """One answer per id in the asked order; what does not fit into the size is named in `left_out`, never dropped."""
    if len(asked.ids) > MAX_BATCH_IDS:
        raise InvalidInput(f"at most {MAX_BATCH_IDS} ids", pointer="/ids")
    async with deps.db.transaction(asked.workspace_id) as tx:
        heads = await catalogue.heads(tx, asked.ids)
        chosen, left_out = _fitting(asked.ids, heads)
        contents = await catalogue.contents(tx, [one for one in chosen if one in heads])
        await catalogue.mark_processing(tx, list(contents))
    items = tuple(_item(one, heads.get(one), contents.get(one)) for one in chosen)
    return SourceBatch(items=items, left_out=tuple(left_out))


def _fitting(ids: Sequence[str], heads: dict[str, Row]) -> tuple[list[str], list[str]]:
    """The first one always fits, so that a reader gets on."""
    chosen: list[str] = []
    left_out: list[str] = []
    size = 0
    for one in dict.fromkeys(ids):
        needed = heads[one]["bytes"] if one in heads else 0
        if chosen and size + needed > MAX_BATCH_BYTES:
            left_out.append(one)
            continue
        size += needed
        chosen.append(one)
    return chosen, left_out


def _item(source_id: str, head: Row | None, content: tuple[int, str, str] | None) -> SourceItem:
    if head is None or content is None:
        return SourceItem(id=source_id, state="unknown")
    if head["tombstone"]:
        told = {"version": head["version"], "integration_id": head["integration_id"]}
        return SourceItem(id=source_id, state="tombstone", **told)
    version, digest, text = content
    return SourceItem(
        id=source_id, state="present", version=version, integration_id=head["integration_id"],
        resource_id=head["resource_id"], resource_name=head["resource_name"], provider=head["provider"],
        type=head["type"], name=head["name"], path=head["path"], url=head["url"], content=text,
        content_type=head["content_type"], content_hash=digest, author=head["author"],
        updated_at=head["provider_updated_at"], metadata=head["metadata"],
    )  # fmt: skip


async def list_sources(*, deps: Deps, workspace: str, wanted: Filter, after: str, limit: int) -> Sequence[Row]:
    async with deps.db.transaction(workspace) as tx:
        await require_workspace(tx)
        return await catalogue.page(tx, wanted, after=after, limit=limit)


async def read_source(source_id: str, *, deps: Deps, workspace: str) -> Row:
    async with deps.db.transaction(workspace) as tx:
        found = await catalogue.one(tx, source_id)
    if found is None:
        raise NotFound
    return found


async def changed_files_of_source(
    source_id: str, narrowed: Narrowed, *, deps: Deps, workspace: str, after: tuple[str, int], limit: int
) -> Sequence[Row]:
    async with deps.db.transaction(workspace) as tx:
        return await changed_files.of_source(tx, source_id, narrowed, after=after, limit=limit)


async def changed_files_of_path(
    path: str, narrowed: Narrowed, *, deps: Deps, workspace: str, after: tuple[str, int], limit: int
) -> Sequence[Row]:
    async with deps.db.transaction(workspace) as tx:
        await require_workspace(tx)
        return await changed_files.of_path(tx, path, narrowed, after=after, limit=limit)
