"""Pushes and changed files: the paths of a pull request, and the paths of each move of what is followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from libs.common.database.transaction import Row, Transaction
from libs.common.ids import new_id
from libs.common.provider.sync import ChangedFile, Pushed
from services.sync.domain.content import storable
from services.sync.domain.plan import Batch

STEP = 2000


class Owned(msgspec.Struct, frozen=True, gc=False):
    """One row: of a push, of a source, or of a push and about a source."""

    push_id: str | None
    source_id: str | None
    position: int
    file: ChangedFile


async def forget(tx: Transaction, source_ids: Sequence[str]) -> None:
    """What these sources hold as their own."""
    if source_ids:
        sql = "DELETE FROM changed_file WHERE source_id = ANY($1::text[]) AND push_id IS NULL"
        await (await tx.driver()).execute(sql, list(source_ids))


async def insert(tx: Transaction, resource_id: str, files: Mapping[str, Sequence[ChangedFile]]) -> None:
    """The files of pull requests by source id."""
    rows = [Owned(None, source, at, file) for source, listed in files.items() for at, file in enumerate(listed)]
    await _insert(tx, resource_id, rows)


async def counts(tx: Transaction, source_ids: Sequence[str]) -> dict[str, int]:
    """How many paths each of these sources holds as its own."""
    if not source_ids:
        return {}
    rows = await (await tx.driver()).fetch(
        "SELECT source_id, count(*) FROM changed_file WHERE source_id = ANY($1::text[]) AND push_id IS NULL GROUP BY 1",
        list(source_ids),
    )
    return {row[0]: row[1] for row in rows}


PUSH = """
INSERT INTO push (id, workspace_id, integration_id, resource_id, key, stream, branch, before, after, forced, at)
VALUES (:id, :workspace, :integration, :resource, :key, :stream, :branch, :before, :after, :forced, :at)
ON CONFLICT (resource_id, key) DO NOTHING
"""


async def note_push(tx: Transaction, batch: Batch, pushed: Pushed) -> None:
    """Told again, it changes nothing. Its rows know the sources that stood at their paths before the move."""
    push_id = new_id()
    made = await tx.execute(
        PUSH, id=push_id, workspace=batch.workspace_id, integration=batch.integration_id, resource=batch.resource_id,
        key=pushed.key, stream=batch.stream, branch=storable(pushed.branch), before=pushed.before, after=pushed.after,
        forced=pushed.forced, at=batch.at,
    )  # fmt: skip
    if not made:
        return
    old_paths = [_old_path(file) for file in pushed.files]
    known = await _at_paths(tx, batch.resource_id, [path for path in old_paths if path is not None])
    rows = [
        Owned(push_id, known.get(old or ""), at, file)
        for at, (old, file) in enumerate(zip(old_paths, pushed.files, strict=True))
    ]
    await _insert(tx, batch.resource_id, rows)


def _old_path(file: ChangedFile) -> str | None:
    """Where the source of this row stood before the move; None for what came with it."""
    if file.status in ("added", "copied"):
        return None
    return storable(file.previous_path or file.path)


async def _at_paths(tx: Transaction, resource_id: str, paths: Sequence[str]) -> dict[str, str]:
    rows = await (await tx.driver()).fetch(
        "SELECT path, id FROM source WHERE resource_id = $1 AND path = ANY($2::text[]) AND NOT tombstone",
        resource_id,
        list(paths),
    )
    return {row[0]: row[1] for row in rows}


async def link_created(tx: Transaction, resource_id: str, created: Mapping[str, str]) -> None:
    """Sources that came after their push was told: path → id."""
    if created:
        await (await tx.driver()).execute(
            "UPDATE changed_file c SET source_id = u.id FROM unnest($2::text[], $3::text[]) AS u(path, id)"
            " WHERE c.push_id = (SELECT id FROM push WHERE resource_id = $1 ORDER BY id DESC LIMIT 1)"
            " AND c.source_id IS NULL AND c.path = u.path",
            resource_id,
            list(created),
            list(created.values()),
        )


async def _insert(tx: Transaction, resource_id: str, rows: Sequence[Owned]) -> None:
    if not rows:
        return
    files = [row.file for row in rows]
    await (await tx.driver()).execute(
        "INSERT INTO changed_file (workspace_id, resource_id, push_id, source_id, position, path, previous_path,"
        " status, additions, deletions, blob_id, previous_blob_id, patch) SELECT $1, $2, u.* FROM unnest($3::text[],"
        " $4::text[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::integer[], $10::integer[], $11::text[],"
        " $12::text[], $13::text[]) AS u",
        tx.workspace,
        resource_id,
        [row.push_id for row in rows],
        [row.source_id for row in rows],
        [row.position for row in rows],
        [storable(file.path) for file in files],
        [None if file.previous_path is None else storable(file.previous_path) for file in files],
        [file.status for file in files],
        [file.additions for file in files],
        [file.deletions for file in files],
        [file.blob_id for file in files],
        [file.previous_blob_id for file in files],
        [None if file.patch is None else storable(file.patch) for file in files],
    )


# Reading

COLUMNS = """
SELECT {owner} AS owner, c.position, c.source_id, c.resource_id, c.path, c.previous_path,
  c.status, c.additions, c.deletions, c.blob_id, c.previous_blob_id, c.patch, c.push_id, p.branch, p.before, p.after,
  p.forced, p.at
FROM changed_file c LEFT JOIN push p ON p.id = c.push_id
"""


class Part(NamedTuple):
    """Rows that one index finds, in the order in which it has them."""

    owner: str
    where: str


OWN = Part("c.source_id", "c.source_id = :wanted AND c.push_id IS NULL")
HISTORY = Part("c.push_id", "c.source_id = :wanted AND c.push_id IS NOT NULL")
PUSHES = Part("p.id", "p.resource_id = :wanted")
OF_PATH = Part(
    "coalesce(c.push_id, c.source_id)",
    "c.workspace_id = :workspace AND (c.path = :wanted OR c.previous_path = :wanted)",
)
REPOSITORY = "SELECT resource_id FROM source WHERE id = :id AND type = 'repository'"
AFTER = "AND {owner} <= :owner AND ({owner} < :owner OR c.position > CAST(:position AS integer))"
# A push has a time; the files of a pull request are as old as what we last read of it.
NARROWED = {
    "status": "c.status = :status",
    "resource": "c.resource_id = :resource",
    "integration": "c.resource_id IN (SELECT id FROM resource WHERE integration_id = :integration)",
    "since": "coalesce(p.at, (SELECT s.updated_at FROM source s WHERE s.id = c.source_id)) >= :since",
}


class Narrowed(msgspec.Struct, frozen=True, kw_only=True):
    """Every field that is set narrows."""

    status: str | None = None
    resource: str | None = None
    integration: str | None = None
    since: datetime | None = None

    @property
    def given(self) -> dict[str, Any]:
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


async def of_source(
    tx: Transaction, source_id: str, narrowed: Narrowed, *, after: tuple[str, int], limit: int
) -> Sequence[Row]:
    """A pull request's own, a file's history, every push of a repository; the newest push first."""
    resource = await tx.fetch_value(REPOSITORY, id=source_id)
    if resource is not None:
        return await _page(tx, (PUSHES,), resource, narrowed.given, after, limit)
    return await _page(tx, (OWN, HISTORY), source_id, narrowed.given, after, limit)


async def of_path(
    tx: Transaction, path: str, narrowed: Narrowed, *, after: tuple[str, int], limit: int
) -> Sequence[Row]:
    """Of one path across the workspace, whether it is the new or the old one."""
    given = {"workspace": tx.workspace, **narrowed.given}
    return await _page(tx, (OF_PATH,), path, given, after, limit)


async def _page(
    tx: Transaction, parts: Sequence[Part], wanted: str, given: dict[str, Any], after: tuple[str, int], limit: int
) -> Sequence[Row]:
    """`after` is (owner, position) of the last row seen; an empty owner begins."""
    owner, position = after
    sql = page_sql(parts, [name for name in given if name in NARROWED], begins=not owner)
    return await tx.fetch_all(sql, wanted=wanted, owner=owner, position=position, limit=limit, **given)


def page_sql(parts: Sequence[Part], narrowed: Sequence[str] = (), *, begins: bool = True) -> str:
    """Part by part: one condition for all of them would read the whole table."""
    narrow = "".join(f" AND {NARROWED[name]}" for name in narrowed)
    pages = (
        f"({COLUMNS.format(owner=part.owner)} WHERE {part.where}{narrow}"
        f" {'' if begins else AFTER.format(owner=part.owner)} ORDER BY owner DESC, position LIMIT :limit)"
        for part in parts
    )
    return f"SELECT * FROM ({' UNION ALL '.join(pages)}) one ORDER BY owner DESC, position LIMIT :limit"


# Forgetting


async def forget_some(
    tx: Transaction, *, integration_id: str, resource_id: str, kept_streams: Sequence[str] | None
) -> bool:
    """One step: pushes of a resource or a whole integration; with `kept_streams` only those of other streams.

    False when nothing is left."""
    which = (
        "SELECT id FROM push WHERE integration_id = :integration AND (:resource = '' OR resource_id = :resource)"
        " AND (CAST(:kept AS text[]) IS NULL OR NOT stream = ANY(CAST(:kept AS text[])))"
    )
    asked = {
        "integration": integration_id, "resource": resource_id,
        "kept": None if kept_streams is None else list(kept_streams),
    }  # fmt: skip
    files = await tx.execute(
        f"DELETE FROM changed_file WHERE ctid = ANY(ARRAY(SELECT c.ctid FROM changed_file c"
        f" WHERE c.push_id IN ({which}) LIMIT {STEP}))",
        **asked,
    )
    return bool(files or await tx.execute(f"DELETE FROM push WHERE id IN ({which} LIMIT {STEP})", **asked))
