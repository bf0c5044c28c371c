"""Where a source stands between its last event and a search: wanted, indexed, skipped, failed or gone. Pure rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from libs.common.database.transaction import Row
from libs.common.events import SourceIndexed, SourceIndexFailed
from libs.common.events.catalog import topic_of
from libs.common.http.explained import Step
from libs.common.outbox.told import Told

FAILED = topic_of(SourceIndexFailed).name
INDEXED = topic_of(SourceIndexed).name


def index_steps(wanted: Row | None, indexed: Row | None, told: Told | None) -> list[Step]:
    """`told` is the last word about it that the others heard."""
    return [*_wanted(wanted), *_failed(told, indexed), *_indexed(indexed, told, wanted), _searchable(indexed)]


def _wanted(row: Row | None) -> Iterator[Step]:
    if row is None:
        return
    facts = {"version": row["version"], "attempts": row["attempts"], "dueAt": row["due_at"], "epoch": row["epoch"]}
    taken = "an indexer has taken it, or it is tried again then" if row["due_at"] > row["now"] else "it is due"
    code, what = ("removal_wanted", "leave the index") if row["remove"] else ("index_wanted", "be indexed")
    yield Step(
        step="wanted", outcome="waiting", code=code, detail=f"it is to {what}: {taken}", at=row["wanted_at"],
        facts=facts,
    )  # fmt: skip


def _failed(told: Told | None, indexed: Row | None) -> Iterator[Step]:
    """The last word is a failure: of a newer version than what is searchable."""
    if told is None or told.topic != FAILED:
        return
    event = msgspec.json.decode(told.payload, type=SourceIndexFailed)
    kept = "; what was indexed before is still found" if indexed else ""
    yield Step(
        step="indexing", outcome="stopped", code="index_failed", detail=f"{event.code}: {event.detail}{kept}",
        at=told.occurred_at, facts={"version": event.version, **_place(told)},
    )  # fmt: skip


def _indexed(row: Row | None, told: Told | None, wanted: Row | None) -> Iterator[Step]:
    if row is not None:
        facts = {"version": row["version"], "chunks": row["chunks"], "words": row["words"]}
        if told is not None and told.topic == INDEXED:
            facts |= _place(told)
        skipped = row["skipped"]
        detail = f"it has no text to find: {skipped}" if skipped else f"cut into {row['chunks']} chunks"
        yield Step(
            step="indexed", outcome="noted" if skipped else "passed", code="skipped" if skipped else "indexed",
            detail=detail, at=row["indexed_at"], facts=facts,
        )  # fmt: skip
    elif told is not None and told.topic == INDEXED:
        event = msgspec.json.decode(told.payload, type=SourceIndexed)
        yield Step(
            step="indexed", outcome="stopped", code="removed", detail="it left the index with its delete",
            at=told.occurred_at, facts={"version": event.version, **_place(told)},
        )  # fmt: skip
    elif told is None and wanted is None:
        detail = "no event about it was heard, or it is longer ago than events are kept"
        yield Step(step="indexed", outcome="stopped", code="never_heard", detail=detail)


def _searchable(row: Row | None) -> Step:
    if row is not None and row["chunks"]:
        detail = f"a search finds version {row['version']}"
        return Step(step="search", outcome="passed", code="searchable", detail=detail, at=row["indexed_at"])
    return Step(step="search", outcome="stopped", code="not_searchable", detail="no search can find it")


def vector_steps(indexed: Row | None, shares: Sequence[Row]) -> Iterator[Step]:
    """One step a model: how many of the source's chunks have a vector of it."""
    if indexed is None or not indexed["chunks"]:
        return
    for row in shares:
        whole = row["vectors"] >= indexed["chunks"]
        used = "searches use it" if row["state"] == "active" else "searches use it once all sources are whole"
        detail = f"{row['vectors']} of {indexed['chunks']} chunks have a vector of {row['name']}; {used}"
        facts = {"model": row["name"], "vectors": row["vectors"], "refused": row["refused"]}
        code = "embedded" if whole else "vectors_wanted"
        yield Step(step="vectors", outcome="passed" if whole else "waiting", code=code, detail=detail, facts=facts)


def _place(told: Told) -> dict[str, int | None]:
    return {"seq": told.seq, "partition": told.kafka_partition, "offset": told.kafka_offset}
