"""Pure functions that say what is wrong with a copy: each answers lines, and none when all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from libs.common.testing.plays import Thing

Place = tuple[str, str]  # (resource's external id, key)
Truth = Mapping[Place, Thing]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One live source as the copy has it."""

    place: Place
    id: str
    name: str
    path: str | None
    body: str
    content: str
    content_hash: str
    revision: str
    version: int
    metadata: Mapping[str, Any] = {}
    parts: Mapping[str, str] = {}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One source.changed as it stands in the outbox, in its order."""

    source: str
    change: str
    version: int
    content_hash: str = ""


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """A tombstone met after moment `at`; the copy last wrote its source after moment `since`."""

    place: Place
    since: int
    at: int
    proof: str


def missing(truth: Truth, kept: Iterable[Kept]) -> list[str]:
    return sorted(f"missing {place}" for place in truth.keys() - {one.place for one in kept})


def extra(truth: Truth, kept: Iterable[Kept]) -> list[str]:
    return sorted(f"extra {place}" for place in {one.place for one in kept} - truth.keys())


def duplicate(kept: Iterable[Kept]) -> list[str]:
    counted = Counter(one.place for one in kept)
    return sorted(f"{times} times {place}" for place, times in counted.items() if times > 1)


def stale(truth: Truth, kept: Iterable[Kept]) -> list[str]:
    found = ((one, truth[one.place]) for one in kept if one.place in truth)
    return sorted(f"stale {one.place}: {why}" for one, thing in found for why in _differences(one, thing))


def _differences(one: Kept, thing: Thing) -> list[str]:
    pairs = {
        "name": (one.name, thing.name),
        "path": (one.path, thing.path),
        "body": (one.body, thing.body),
        "revision": (one.revision if thing.revision else "", thing.revision),
        "parts": (dict(one.parts), dict(thing.parts)),
        "metadata": ({name: one.metadata.get(name) for name in thing.metadata}, dict(thing.metadata)),
    }
    wrong = [f"{name} is {held!r:.300}, not {real!r:.300}" for name, (held, real) in pairs.items() if held != real]
    if sha256(one.content.encode()).hexdigest() != one.content_hash:
        wrong.append("the hash is not of its content")
    unsaid = [key for key, body in thing.parts.items() if body.strip() not in one.content]
    return [*wrong, *(f"{key} is not in the content" for key in unsaid)]


def version_regression(told: Sequence[Told]) -> list[str]:
    """Versions of one source strictly rise, in the order of the outbox."""
    newest: dict[str, int] = {}
    wrong = []
    for event in told:
        if event.version <= newest.get(event.source, 0):
            wrong.append(f"{event.source} went from {newest[event.source]} to {event.version}")
        newest[event.source] = event.version
    return wrong


def lost_event(told: Sequence[Told], rows: Mapping[str, tuple[int, bool, str]]) -> list[str]:
    """The newest fact of each source is in the outbox: its version, its hash, and whether it lives.

    `rows` are (version, tombstone, content hash) by source.
    """
    newest = {event.source: event for event in told}
    wrong = [f"never told of {source}" for source in rows.keys() - newest.keys()]
    wrong += [f"told of {source}, which is nowhere" for source in newest.keys() - rows.keys()]
    for source in rows.keys() & newest.keys():
        version, gone, digest = rows[source]
        event = newest[source]
        if (event.version, event.change == "deleted", event.content_hash) != (version, gone, digest):
            wrong.append(
                f"{source} is at {version}{' (gone)' if gone else ''}, told was {event.change} {event.version}"
            )
    return sorted(wrong)


def phantom_delete(deletes: Iterable[Deleted], moments: Sequence[Collection[Place]]) -> list[str]:
    """Deleted although it belonged in the copy at every moment since the copy last wrote it.

    `moments` are what belongs in the copy after each step.
    """
    return [
        f"deleted {one.place} ({one.proof}), which was there from moment {one.since} to {one.at}"
        for one in deletes
        if all(one.place in moment for moment in moments[one.since : one.at + 1])
    ]
