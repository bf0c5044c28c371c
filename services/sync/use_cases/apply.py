"""The one apply path: polls, hints and sweeps all write through here, inside the caller's transaction.

The caller holds the row lock of the resource, so two lanes never interleave in one resource.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from libs.common.database.transaction import Transaction
from libs.common.events.source import Change, SourceChanged, SourceType
from libs.common.ids import new_id
from libs.common.provider.sync import Observed
from services.sync.domain.content import content_hash, render, storable
from services.sync.domain.plan import Batch, Plan, change_of, hashes_of, make_plan, plan_parts
from services.sync.repository import changed_files, parts, quarantine, sources
from services.sync.repository.sources import Rewrite, Standing, Tombstoned, Write

WITH_CHANGED_FILES = ("pull_request", "merge_request")


class Applied(msgspec.Struct, kw_only=True):
    """`stale` keys were written by another lane while this batch was read: they must be looked at again.

    `held`: deletions of this resource wait for somebody's word, and what was seen again has to be taken off them.
    """

    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    quarantined: int = 0
    stale: tuple[str, ...] = ()
    held: bool = False

    @property
    def changes(self) -> int:
        return self.created + self.updated + self.deleted


async def apply_batch(tx: Transaction, batch: Batch) -> Applied:
    """A page that differs in nothing is one look."""
    hashes = hashes_of(batch)
    standing = await sources.standing(tx, batch.resource_id, hashes)
    same = {key for key, stored in standing.hashes.items() if stored == hashes[key]}
    known = await sources.known(tx, batch.resource_id, list(standing.hashes.keys() - same))
    plan = make_plan(batch, known, hashes, same)
    applied = Applied(unchanged=plan.unchanged, stale=tuple(plan.stale), held=standing.held)
    for pushed in batch.pushes:  # before anything moves: its rows name what stood at the old paths
        await changed_files.note_push(tx, batch, pushed)
    events = await _displace(tx, batch, plan)
    touched = await _apply_parts(tx, batch, plan, standing)
    writes, changes = await _rendered(tx, batch, plan, with_parts=standing.parts or bool(touched))
    events += await _write(tx, batch, plan, writes, changes)
    events += await _rewrite_touched(tx, batch, touched - set(plan.changed))
    events += await _remove(tx, batch, plan)
    await _note_quarantine(tx, batch, standing)
    _count(applied, batch, events)
    await tx.emit(*events)
    return applied


async def tombstone_all(tx: Transaction, batch: Batch, rows: Iterable[tuple[str, str]], proof: str) -> int:
    """`rows` are (id, key). Answers how many were still there."""
    gone = await sources.tombstone(tx, [(row, key, proof) for row, key in rows])
    await tx.emit(*(_deleted(batch, one) for one in gone))
    return len(gone)


async def _displace(tx: Transaction, batch: Batch, plan: Plan) -> list[SourceChanged]:
    """A file renamed onto another one ends that one: its row steps aside so that its id is told as deleted."""
    aside = [(row.id, f"moved:{row.id}:{row.key}", f"another object took {row.key}") for row in plan.displaced]
    buried = {row.id for row in plan.displaced if row.tombstone}
    gone = await sources.tombstone(tx, [one for one in aside if one[0] not in buried])
    await sources.step_aside(tx, [sources.Aside(row, key) for row, key, _ in aside if row in buried])
    if plan.moves:
        await sources.move(tx, batch.resource_id, plan.moves)
    return [_deleted(batch, one) for one in gone]


async def _apply_parts(tx: Transaction, batch: Batch, plan: Plan, standing: Standing) -> set[str]:
    """Writes what is different; answers the keys whose rendering changes."""
    stale = set(plan.stale)
    observed = [item for item in batch.observed if item.key not in stale]
    keys = {item.key for item in observed if item.parts is not None} | {item.parent_key for item in batch.parts}
    known = await parts.hashes(tx, batch.resource_id, sorted(keys)) if standing.parts else {}
    todo = plan_parts(observed, batch.parts, known)
    await parts.drop(tx, batch.resource_id, todo.drop)
    await parts.write(tx, batch.resource_id, todo.write)
    return todo.touched


async def _rendered(
    tx: Transaction, batch: Batch, plan: Plan, *, with_parts: bool
) -> tuple[list[Write], dict[str, Change | None]]:
    if not plan.changed:
        return [], {}
    attached = await parts.of_sources(tx, batch.resource_id, plan.changed) if with_parts else {}
    writes, changes = [], {}
    for key, item in plan.changed.items():
        row, body = plan.rows.get(key), storable(item.content)
        content = render(body, attached.get(key, ()))
        digest = content_hash(content)
        change = change_of(row, item, digest, key in plan.renamed_from)
        changes[key] = change
        kept_body = body if key in attached else None
        writes.append(
            Write(
                id=row.id if row else new_id(), key=key, observed=item, content=content, body=kept_body,
                content_hash=digest, seen_hash=plan.hashes[key], bump=change is not None,
            )
        )  # fmt: skip
    return writes, changes


async def _write(
    tx: Transaction, batch: Batch, plan: Plan, writes: list[Write], changes: dict[str, Change | None]
) -> list[SourceChanged]:
    new = [one for one in writes if one.key not in plan.rows]
    old = [one for one in writes if one.key in plan.rows]
    versions = await sources.insert(
        tx, new, integration_id=batch.integration_id, resource_id=batch.resource_id, provider=batch.provider
    )
    versions |= await sources.update(tx, old)
    told = [(one, change) for one in writes if (change := changes[one.key])]
    paths = await _note_changed_files(tx, batch, plan, writes, told)
    return [
        _changed(batch, one, change, versions[one.id], old_path=plan.renamed_from.get(one.key), paths=paths.get(one.id))
        for one, change in told
    ]


async def _note_changed_files(
    tx: Transaction, batch: Batch, plan: Plan, writes: list[Write], told: list[tuple[Write, Change]]
) -> dict[str, int]:
    """Those of pull requests, and the link from the newest push to what it brought. Answers how many each one has."""
    files = {one.id: one.observed.changed_files for one in writes if one.observed.changed_files is not None}
    await changed_files.forget(tx, [one.id for one in writes if one.id in files and one.key in plan.rows])
    await changed_files.insert(tx, batch.resource_id, files)
    brought = {one.observed.path: one.id for one, change in told if change == "created" and one.observed.path}
    await changed_files.link_created(tx, batch.resource_id, brought)
    unread = [one.id for one, _ in told if one.id not in files and one.observed.type in WITH_CHANGED_FILES]
    return {source: len(listed) for source, listed in files.items()} | await changed_files.counts(tx, unread)


async def _rewrite_touched(tx: Transaction, batch: Batch, keys: set[str]) -> list[SourceChanged]:
    """Sources whose parts changed alone. Parts without a source stay and wait for it."""
    if not keys:
        return []
    bodies = await sources.bodies(tx, batch.resource_id, keys)
    attached = await parts.of_sources(tx, batch.resource_id, bodies)
    rows = []
    for key, (source_id, body) in bodies.items():
        content = render(body, attached.get(key, ()))
        kept = body if key in attached else None
        rows.append(Rewrite(id=source_id, content=content, body=kept, content_hash=content_hash(content)))
    found = await sources.rewrite(tx, rows)
    paths = await changed_files.counts(tx, [row[0] for row in found if row[2] in WITH_CHANGED_FILES])
    return [
        _event(
            batch, source_id=row[0], kind=row[2], change="updated", version=row[1], digest=row[4], url=row[3],
            changed_paths=paths.get(row[0]),
        )
        for row in found
    ]  # fmt: skip


async def _remove(tx: Transaction, batch: Batch, plan: Plan) -> list[SourceChanged]:
    """A key that a rename took over in the same batch is not removed."""
    observed = {item.key for item in batch.observed}
    known = ((plan.rows[key].id, key, proof) for key, proof in batch.removed.items() if key in plan.rows)
    rows = [row for row in known if row[1] not in observed]
    return [_deleted(batch, one) for one in await sources.tombstone(tx, rows)]


async def _note_quarantine(tx: Transaction, batch: Batch, standing: Standing) -> None:
    came = standing.quarantined & ({item.key for item in batch.observed} | set(batch.removed))
    await quarantine.resolve(tx, batch.resource_id, sorted(came))
    await quarantine.note(tx, batch)


def _count(applied: Applied, batch: Batch, events: list[SourceChanged]) -> None:
    kinds = [event.change for event in events]
    applied.created = kinds.count("created")
    applied.deleted = kinds.count("deleted")
    applied.updated = len(kinds) - applied.created - applied.deleted
    applied.quarantined = len(batch.quarantined)


def _changed(
    batch: Batch, write: Write, change: Change, version: int, *, old_path: str | None, paths: int | None
) -> SourceChanged:
    item: Observed = write.observed
    return _event(
        batch, source_id=write.id, kind=item.type, change=change, version=version, digest=write.content_hash,
        url=item.url, at=item.updated_at, previous_path=old_path if change == "renamed" else None,
        changed_paths=paths,
    )  # fmt: skip


def _deleted(batch: Batch, gone: Tombstoned) -> SourceChanged:
    return _event(
        batch, source_id=gone.id, kind=gone.type, change="deleted", version=gone.version, digest="", url=gone.url
    )


def _event(
    batch: Batch,
    *,
    source_id: str,
    kind: SourceType,
    change: Change,
    version: int,
    digest: str,
    url: str,
    at: datetime | None = None,
    previous_path: str | None = None,
    changed_paths: int | None = None,
) -> SourceChanged:
    return SourceChanged(
        workspace_id=batch.workspace_id,
        source_id=source_id,
        integration_id=batch.integration_id,
        resource_id=batch.resource_id,
        provider=batch.provider,
        type=kind,
        change=change,
        version=version,
        content_hash=digest,
        url=url,
        previous_path=previous_path,
        occurred_at=at or batch.at,
        cause=batch.cause,
        changed_paths=changed_paths,
    )
