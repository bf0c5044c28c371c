"""What one batch of observations changes, decided from hashes and keys before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from libs.common.events.source import Cause, Change, SourceType
from libs.common.provider.sync import Observed, Part, PartSeen, Pushed
from services.sync.domain.content import part_hash, seen_hash


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one page, or one re-read of dirty objects, brought. `removed` maps a key to its proof.
    `unnamed` are the keys of `quarantined` that no fetch can ask for. `streams` of keys that are of another one.

    `at` stands for objects without a time of their own. `read_after`: rows written later than this by another lane may
    be newer than what we hold.
    """

    workspace_id: str
    integration_id: str
    resource_id: str
    provider: str
    stream: str
    cause: Cause
    observed: tuple[Observed, ...] = ()
    parts: tuple[PartSeen, ...] = ()
    removed: Mapping[str, str] = {}
    quarantined: Mapping[str, tuple[str, str]] = {}
    unnamed: frozenset[str] = frozenset()
    streams: Mapping[str, str] = {}
    pushes: tuple[Pushed, ...] = ()
    read_after: datetime | None = None
    at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


class Known(msgspec.Struct, frozen=True, gc=False):
    """The stored side of the comparison."""

    id: str
    key: str
    type: SourceType
    name: str
    path: str | None
    url: str
    content_hash: str
    seen_hash: bytes
    version: int
    tombstone: bool
    updated_at: datetime | None
    seen_at: datetime


class Move(msgspec.Struct, frozen=True):
    id: str
    old_key: str
    key: str


class Plan(msgspec.Struct):
    """`rows` is the stored row of each key after the moves; `displaced` rows lost their key to a rename."""

    rows: dict[str, Known]
    moves: list[Move]
    displaced: list[Known]
    changed: dict[str, Observed]
    hashes: dict[str, bytes]
    unchanged: int = 0
    stale: list[str] = []
    renamed_from: dict[str, str | None] = {}


def hashes_of(batch: Batch) -> dict[str, bytes | None]:
    """What was observed of each key, and None for keys whose stored row the plan has to see whatever it holds."""
    found: dict[str, bytes | None] = dict.fromkeys(batch.removed)
    for item in batch.observed:
        if item.previous_key:
            found[item.key] = found[item.previous_key] = None
    return found | {item.key: seen_hash(item) for item in batch.observed if item.key not in found}


def make_plan(
    batch: Batch, known: Mapping[str, Known], hashes: Mapping[str, bytes | None], same: Collection[str] = ()
) -> Plan:
    """`same` keys are stored exactly as observed, so their rows were not read. The last observation of a key counts."""
    newest = {item.key: item for item in batch.observed}
    plan = Plan(rows=dict(known), moves=[], displaced=[], changed={}, hashes={}, stale=[], renamed_from={})
    differing = {key: item for key, item in newest.items() if key not in same}
    plan.unchanged = len(newest) - len(differing)
    fresh = {key: item for key, item in differing.items() if not _is_stale(known.get(key), item, batch.read_after)}
    plan.stale = [key for key in differing if key not in fresh]
    _plan_moves(plan, fresh, known)
    for key, item in fresh.items():
        digest = hashes.get(key) or seen_hash(item)
        row = plan.rows.get(key)
        if row and not row.tombstone and row.seen_hash == digest and key not in plan.renamed_from:
            plan.unchanged += 1
        else:
            plan.changed[key], plan.hashes[key] = item, digest
    return plan


def _is_stale(row: Known | None, item: Observed, read_after: datetime | None) -> bool:
    """Another lane wrote this key while our read was in flight, and nothing proves ours to be the newer one."""
    if row is None or read_after is None or row.seen_at <= read_after:
        return False
    if row.updated_at and item.updated_at and not row.tombstone:
        return item.updated_at < row.updated_at
    return row.seen_hash != seen_hash(item)


def _plan_moves(plan: Plan, fresh: Mapping[str, Observed], known: Mapping[str, Known]) -> None:
    moves = {
        item.previous_key: key
        for key, item in fresh.items()
        if item.previous_key and item.previous_key != key and _is_live(known.get(item.previous_key))
    }
    for old in moves:
        plan.rows.pop(old, None)
    for old, new in moves.items():
        row, target = known[old], known.get(new)
        if target is not None and new not in moves:
            plan.displaced.append(target)
        plan.moves.append(Move(row.id, old, new))
        plan.rows[new] = row
        plan.renamed_from[new] = row.path


def _is_live(row: Known | None) -> bool:
    return row is not None and not row.tombstone


def change_of(row: Known | None, item: Observed, content_hash: str, renamed: bool) -> Change | None:
    """None: nothing that a reader sees is different, so nothing is told."""
    if row is None or row.tombstone:
        return "created"
    if renamed:
        return "renamed"
    same = (row.content_hash, row.name, row.path, row.url) == (content_hash, item.name, item.path, item.url)
    return None if same else "updated"


class PartPlan(msgspec.Struct):
    """`touched` sources must be rendered again."""

    drop: list[tuple[str, str]]
    write: list[tuple[str, Part, bytes]]

    @property
    def touched(self) -> set[str]:
        return {source for source, _ in self.drop} | {source for source, _, _ in self.write}


def plan_parts(
    observed: Iterable[Observed], seen: Sequence[PartSeen], known: Mapping[tuple[str, str], bytes]
) -> PartPlan:
    """A tuple of parts is all of them with its prefix: what is missing in it is gone. A part seen alone only adds."""
    wanted: dict[tuple[str, str], Part] = {(item.parent_key, item.part.key): item.part for item in seen}
    drop: list[tuple[str, str]] = []
    for item in observed:
        if item.parts is None:
            continue
        here = {(item.key, part.key): part for part in item.parts}
        covered = [at for at in known if at[0] == item.key and at[1].startswith(item.parts_prefix)]
        drop += [at for at in covered if at not in here]
        wanted |= here
    hashed = ((source, part, part_hash(part)) for (source, _), part in wanted.items())
    write = [entry for entry in hashed if known.get((entry[0], entry[1].key)) != entry[2]]
    return PartPlan([at for at in drop if at not in wanted], write)
