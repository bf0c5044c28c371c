"""Another model, while searches go on: no answer is empty, none mixes two models, and one generation is left (F22)."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence

import pytest

from libs.common.testing.crashpoints import ProcessDied, watching
from services.chunker.domain.searching import Question
from services.chunker.embedding.queries import NoVector, QueryEmbedder, QueryVector
from services.chunker.repository import vectors
from tests.integration.chunker.conftest import Rig
from tests.integration.chunker.embedding import Double, Embedding
from tests.support.figures import Progress, Tell, sized

SOURCES = 30
VERSION = re.compile(r"Version (\d{5})")
POINTS = ("chunker.claimed", "chunker.indexed", "chunker.embedded", "chunker.vectors_saved", "chunker.switched")


async def fill(rig: Rig) -> None:
    for number in range(SOURCES):
        await rig.put(f"# Part {number}\n\nBananas of kind {number} are yellow.\n", path=f"docs/{number}.md")
    await rig.index()


async def states(rig: Rig) -> list[tuple[str, int]]:
    async with rig.db.queue() as tx:
        rows = await tx.fetch_all("SELECT state, dimension FROM embedding_generation ORDER BY id")
    return [(row["state"], row["dimension"]) for row in rows]


async def test_searches_go_on_while_every_chunk_is_embedded_with_another_model(rig: Rig) -> None:
    old, new = Double(384), Double(256)
    await fill(rig)
    await Embedding(rig, old).embed()
    switching = Embedding(rig, new, old)
    dimensions = []
    while await switching.worker.step():
        found = await QueryEmbedder(rig.db, switching.embedders).embed_query("bananas")
        assert isinstance(found, QueryVector), found
        dimensions.append(found.generation.dimension)
        assert len(await switching.nearest("bananas", depth=SOURCES)) == SOURCES
    assert dimensions == sorted(dimensions, reverse=True), "once new, always new"
    assert set(dimensions) == {384, 256}
    assert len(new.asked) == SOURCES, "each chunk once"
    assert await states(rig) == [("active", 256)]
    assert await switching.counted("SELECT count(*) FROM chunk_vector") == SOURCES


async def test_query_that_asked_with_the_old_model_finds_its_vectors_after_the_switch(rig: Rig) -> None:
    old, new = Double(384), Double(256)
    await fill(rig)
    await Embedding(rig, old).embed()
    switching = Embedding(rig, new, old)
    switching.worker.retired_s = 60.0
    before = await switching.queries.embed_query("bananas")
    assert isinstance(before, QueryVector)
    await switching.embed()
    assert await states(rig) == [("retired", 384), ("active", 256)]
    async with rig.db.transaction("w1") as tx:
        assert len(await vectors.nearest(tx, before.generation, before.vector, SOURCES)) == SOURCES


async def test_chunks_that_come_during_the_switch_are_in_both(rig: Rig) -> None:
    old, new = Double(384), Double(256)
    await fill(rig)
    await Embedding(rig, old).embed()
    switching = Embedding(rig, new, old)
    await switching.worker.step()
    await rig.put("# Late\n\nCherries came late.\n", path="docs/late.md")
    await rig.index()
    await switching.worker.step()
    assert any("Cherries" in text for text in old.asked)
    await switching.embed()
    assert any("Cherries" in text for text in new.asked)
    assert await states(rig) == [("active", 256)]


async def test_model_that_nothing_embeds_with_any_more_leaves_searches_by_words_until_the_switch(rig: Rig) -> None:
    await fill(rig)
    await Embedding(rig, Double(384)).embed()
    switching = Embedding(rig, Double(256))
    await switching.worker.step()
    assert await QueryEmbedder(rig.db, switching.embedders).embed_query("bananas") == NoVector(reason="no_embedder")
    assert len(await rig.names("bananas", limit=SOURCES)) == SOURCES
    await switching.embed()
    assert len(await switching.nearest("bananas", depth=SOURCES)) == SOURCES


async def test_endpoint_that_is_away_leaves_a_query_its_words(rig: Rig) -> None:
    class Away(Double):
        async def embed_query(self, text: str) -> bytes:
            return (await self.embed_passages([text]))[0]

    away = Away()
    await fill(rig)
    embedding = Embedding(rig, away)
    await embedding.embed()
    away.away = True
    assert await embedding.queries.embed_query("bananas") == NoVector(reason="unavailable")


async def test_kills_between_embedding_and_switch_mix_no_two_versions_of_a_document(
    rig: Rig, figure: Tell, progress: Progress
) -> None:
    """Each version says its number in every chunk; a poll that sees two numbers of a document saw a mixture."""
    polls = sized(600, 10_000)
    chance = random.Random(22)
    document = Document(rig)
    await document.write()
    old, new = Double(384), Double(256)
    await Embedding(rig, old).embed()
    poller = Poller(rig, Embedding(rig, new, old), polls)
    async with asyncio.TaskGroup() as group:
        group.create_task(poller.run())
        while not poller.done:
            await document.write()
            await die_at(Embedding(rig, new, old, batch=4), chance.choice(POINTS), chance.randrange(1, 3))
            await release(rig)
            progress(poller.polls, polls, versions=document.version, mixed=poller.mixed)
    await rig.index()
    await poller.embedding.embed()
    await Embedding(rig, new, old).embed()
    figure("F22", poller.mixed, "mixed", poller.polls)
    assert poller.mixed == 0
    assert await states(rig) == [("active", 256)]
    assert await poller.embedding.counted("SELECT count(DISTINCT generation) FROM chunk_vector") == 1
    lacking = "SELECT count(*) FROM chunk c WHERE NOT EXISTS (SELECT FROM chunk_vector v WHERE v.chunk_pk = c.pk)"
    assert await poller.embedding.counted(lacking) == 0


class Document:
    """One document of many chunks, written anew again and again."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.version = 0
        self.source = ""

    async def write(self) -> None:
        self.version += 1
        text = "\n\n".join(f"## Part {n}\n\nVersion {self.version:05d} of bananas. " + "Word. " * 90 for n in range(6))
        self.source = await self.rig.put(text, source_id=self.source, version=self.version)
        if self.version == 1:
            await self.rig.index()


class Poller:
    def __init__(self, rig: Rig, embedding: Embedding, wanted: int) -> None:
        self.rig = rig
        self.embedding = embedding
        self.wanted = wanted
        self.polls = self.mixed = 0

    @property
    def done(self) -> bool:
        return self.polls >= self.wanted

    async def run(self) -> None:
        """As a search does, by words and vectors together, and by vectors alone, in turn."""
        while not self.done:
            whole = self.polls % 2 == 0
            found = await (self.search() if whole else self.embedding.texts("bananas version", depth=50))
            assert found or not whole, "a document that is there was not found"
            self.mixed += len({VERSION.findall(text)[0] for text in found}) > 1
            self.polls += 1

    async def search(self) -> Sequence[str]:
        searcher = self.rig.searching(queries=self.embedding.queries)
        return [row["text"] for row in (await searcher.search("w1", Question(query="bananas"), limit=50)).rows]


async def die_at(embedding: Embedding, point: str, hit: int) -> None:
    """Indexes and embeds until the death that is played comes at that point, or nothing is left to do."""
    seen = 0

    def arrived(name: str) -> None:
        nonlocal seen
        seen += name == point
        if name == point and seen == hit:
            raise ProcessDied(name)

    with watching(arrived):
        try:
            await embedding.rig.index()
            await embedding.embed()
        except ProcessDied:
            return


async def release(rig: Rig) -> None:
    """The leases of the dead end, here at once."""
    async with rig.db.queue() as tx:
        await tx.execute("UPDATE index_wanted SET due_at = now()")
        await tx.execute("UPDATE embed_wanted SET due_at = now()")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generation is asked for each time: what a query keeps for two seconds must not hide a switch."""
    monkeypatch.setattr("services.chunker.embedding.queries.KEPT_S", 0.0)
