"""What became of the copy, read with an administrator's eyes after every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import asyncpg
import msgspec

from libs.common.testing.plays import Thing
from tests.chaos.harness import checkers
from tests.chaos.harness.checkers import Deleted, Kept, Place, Told

ROWS = """
SELECT s.id, r.external_id, s.external_key, s.version, s.tombstone, s.proof, s.content_hash
FROM source s JOIN resource r ON r.id = s.resource_id WHERE s.integration_id = $1
"""
LIVE = """
SELECT s.id, r.external_id, s.external_key, s.name, s.path, coalesce(s.body, s.content) AS body, s.content,
  s.content_hash, s.revision, s.version, s.metadata::text AS metadata,
  (SELECT jsonb_object_agg(p.part_key, p.body) FROM source_part p
   WHERE p.resource_id = s.resource_id AND p.source_key = s.external_key)::text AS parts
FROM source s JOIN resource r ON r.id = s.resource_id 
WHERE NOT s.tombstone AND s.integration_id = $1
"""
EVENTS = """
SELECT payload FROM outbox
WHERE topic = 'source.changed' AND convert_from(payload, 'UTF8')::jsonb ->> 'integration_id' = $1 ORDER BY id
"""


class Watch:
    """`moments` are what belonged in the copy after each change of that; `deletes` every tombstone met."""

    def __init__(
        self, admin: asyncpg.Connection[asyncpg.Record], integration: str, belongs: Callable[[], set[Place]]
    ) -> None:
        self.moments: list[set[Place]] = []
        self.deletes: list[Deleted] = []
        self._admin, self._integration, self._belongs = admin, integration, belongs
        self._known: dict[str, tuple[int, int]] = {}
        self._looked = 0

    async def _read(self, sql: str) -> Sequence[Any]:
        found: Sequence[Any] = await self._admin.fetch(sql, self._integration)
        return found

    def moment(self) -> None:
        self.moments.append(self._belongs())

    async def look(self) -> None:
        if not self.moments:
            self.moment()
        rows = await self._read(ROWS)
        live = {(row["external_id"], row["external_key"]) for row in rows if not row["tombstone"]}
        for row in rows:
            version, since = self._known.get(row["id"], (0, self._looked))
            if version != row["version"]:
                self._changed(row, since, live)
        self._looked = len(self.moments) - 1

    def _changed(self, row: Any, since: int, live: set[Place]) -> None:
        """A key that another object took is not deleted: that one is there."""
        self._known[row["id"]] = (row["version"], self._looked)
        place = (row["external_id"], row["external_key"].removeprefix(f"moved:{row['id']}:"))
        if row["tombstone"] and place not in live:
            at = len(self.moments) - 1
            self.deletes.append(Deleted(place=place, since=since, at=at, proof=row["proof"] or ""))

    async def kept(self, hidden: Iterable[str]) -> list[Kept]:
        """What is live, but for what belongs to `hidden` resources."""
        rows = [row for row in await self._read(LIVE) if row["external_id"] not in set(hidden)]
        return [
            Kept(
                place=(row["external_id"], row["external_key"]), id=row["id"], name=row["name"], path=row["path"],
                body=row["body"], content=row["content"], content_hash=row["content_hash"], revision=row["revision"],
                version=row["version"], metadata=msgspec.json.decode(row["metadata"]),
                parts=msgspec.json.decode(row["parts"] or "{}"),
            )
            for row in rows
        ]  # fmt: skip

    async def judge(self, truth: Iterable[tuple[str, str, Thing]], hidden: Iterable[str]) -> dict[str, list[str]]:
        """By checker, what each of them says."""
        real = {(resource, key): thing for resource, key, thing in truth if resource not in set(hidden)}
        kept = await self.kept(hidden)
        told = [_told(msgspec.json.decode(row["payload"])) for row in await self._read(EVENTS)]
        rows = {r["id"]: (r["version"], r["tombstone"], r["content_hash"]) for r in await self._read(ROWS)}
        return {
            "missing": checkers.missing(real, kept),
            "extra": checkers.extra(real, kept),
            "stale": checkers.stale(real, kept),
            "duplicate": checkers.duplicate(kept),
            "version_regression": checkers.version_regression(told),
            "lost_event": checkers.lost_event(told, rows),
            "false_delete": checkers.phantom_delete(self.deletes, self.moments),
        }


def _told(event: dict[str, Any]) -> Told:
    return Told(
        source=event["source_id"], change=event["change"], version=event["version"],
        content_hash=event.get("content_hash", ""),
    )  # fmt: skip
