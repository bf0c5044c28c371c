"""Events in any order and twice: what is searchable is the fold by version, and nothing deleted is found (F20)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import msgspec
import pytest

from libs.common.internal import SourceItem
from tests.integration.chunker.conftest import Rig
from tests.support.figures import Tell, sized

TELLERS = 6
INDEX_EVERY = 150


class Told(msgspec.Struct, frozen=True):
    """One event of one entity; `word` stands in the text of that version alone, "" in a deleted one."""

    source: str
    version: int
    word: str


def histories(chance: random.Random, entities: int, events: int) -> dict[str, list[Told]]:
    """Created, edited, deleted, made again: versions rise by more than one."""
    found: dict[str, list[Told]] = {f"source-{number}": [] for number in range(entities)}
    for number in range(events):
        source = f"source-{number % entities}"
        version = (found[source][-1].version if found[source] else 0) + chance.randrange(1, 5)
        gone = bool(found[source]) and bool(found[source][-1].word) and chance.random() < 0.3
        found[source].append(Told(source, version, "" if gone else word(number)))
    return found


def word(number: int) -> str:
    """One that stands nowhere else, of consonants alone: nothing of it is split off or stemmed."""
    return "q" + str(number).zfill(5).translate(str.maketrans("0123456789", "bcdfghjkmp")) + "x"


def item(told: Told) -> SourceItem:
    if not told.word:
        return SourceItem(id=told.source, state="tombstone", version=told.version)
    return SourceItem(
        id=told.source, state="present", version=told.version, integration_id="i1", resource_id="r1",
        provider="github", type="file", name=told.source, path=f"docs/{told.source}.md",
        content=f"# About\n\nIt says {told.word}.\n", content_type="text/markdown", content_hash=str(told.version),
    )  # fmt: skip


async def tell(rig: Rig, events: Sequence[Told]) -> None:
    """The owner tells after its commit: what it answers is never older than what was told."""
    for told in events:
        held = rig.owner.held.get(told.source)
        if held is None or held.version < told.version:
            rig.owner.held[told.source] = item(told)
        await rig.tell(told.source, told.version, "updated" if told.word else "deleted")


async def hits(rig: Rig, word: str) -> set[str]:
    return {row["source_id"] for row in (await rig.search(word)).rows}


@pytest.mark.timeout(900)
async def test_shuffled_and_doubled_events_leave_the_fold_by_version(rig: Rig, figure: Tell) -> None:
    chance = random.Random(20)
    entities, events = sized(100, 500), sized(2_000, 10_000)
    history = histories(chance, entities, events)
    stream = [told for each in history.values() for told in each]
    stream += chance.sample(stream, events // 5)
    chance.shuffle(stream)
    before = list(stream)
    assert before != sorted(stream, key=lambda told: told.version)
    for at in range(0, len(stream), INDEX_EVERY):
        part = stream[at : at + INDEX_EVERY]
        await asyncio.gather(*(tell(rig, part[lane::TELLERS]) for lane in range(TELLERS)), rig.indexer.step())
    await rig.index()

    fold = {source: max(each, key=lambda told: told.version) for source, each in history.items()}
    async with rig.db.transaction("w1") as tx:
        rows = await tx.fetch_all("SELECT id, version FROM indexed_source")
        chunks = await tx.fetch_all("SELECT source_id, text FROM chunk")
    indexed = {row["id"]: row["version"] for row in rows}
    texts = {row["source_id"]: row["text"] for row in chunks}
    equal = sum(
        indexed.get(source) == (told.version if told.word else None)
        and (told.word in texts.get(source, "") if told.word else source not in texts)
        for source, told in fold.items()
    )
    deleted = [source for source, told in fold.items() if not told.word]
    found = sum([source in await hits(rig, history[source][-2].word) for source in deleted])
    lost = sum([told.source not in await hits(rig, told.word) for told in fold.values() if told.word])
    figure("F20", entities - equal, "different", entities)
    figure("F20_deleted_found", found, "found", len(deleted))
    assert (equal, found, lost) == (entities, 0, 0)
    assert len(deleted) > entities // 10
