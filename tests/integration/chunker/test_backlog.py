"""A backlog drains, a batch at a time, without keeping any of it; a large document in hand keeps nobody waiting."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from libs.common.provider.chunks import ChunkFacet, Layout, SourceText
from libs.common.testing.eventually import eventually
from libs.providers import registry
from tests.integration.chunker.conftest import Rig
from tests.support.figures import Tell

# Large beside what a process keeps of its statements and metrics, whatever ran in it before.
BACKLOG, BATCH, SIZE = 100, 10, 30_000
WORDS = "relay lease cursor broker vault tenant outbox worker shard replica quorum epoch ledger window".split()


@pytest.fixture
def counted() -> Iterator[None]:
    """Memory that Python objects take, whatever else the machine does."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def test_backlog_drains_and_nothing_of_it_is_kept(rig: Rig, figure: Tell, counted: None) -> None:
    rig.indexer = replace(rig.indexer, batch=BATCH)
    for n in range(BACKLOG):
        random = Random(n)
        await rig.put(" ".join(random.choice(WORDS) for _ in range(SIZE // 6)), path=f"{n}.txt")
    held: list[int] = []
    while await rig.indexer.step():
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    half = len(held) // 2
    grown, read = held[-1] - held[half], (len(held) - 1 - half) * BATCH * SIZE
    figure("backlog_memory", max(grown, 0) // 1000, "KB", f"{read // 1000}_KB_read_meanwhile")
    async with rig.db.transaction("w1") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM indexed_source") == BACKLOG
        assert await tx.fetch_value("SELECT count(*) FROM index_wanted") == 0
    assert len(held) == BACKLOG // BATCH
    assert grown < read / 3


class Held(ChunkFacet):
    """The cutting of one path waits until it is let go."""

    def __init__(self, inner: ChunkFacet, path: str) -> None:
        self._inner, self._path = inner, path
        self.entered, self.go = threading.Event(), threading.Event()

    def layout(self, source: SourceText) -> Layout:
        if source.path == self._path:
            self.entered.set()
            self.go.wait(60)
        return self._inner.layout(source)


async def test_document_that_is_cut_for_long_keeps_no_other_from_being_found(rig: Rig) -> None:
    facet = Held(registry.facet("github", "chunks"), "large.md")
    rig.indexer = replace(rig.indexer, facet_of=lambda provider: facet)
    await rig.put("# Large\n\nA relay of its own.\n" * 50, path="large.md")
    cutting = asyncio.create_task(rig.indexer.step())
    await eventually(facet.entered.is_set)
    for n in range(5):
        await rig.put(f"# Small {n}\n\nA relay as well.\n", path=f"{n}.md")
    assert await rig.indexer.step()
    assert sorted(await rig.names("relay")) == [f"{n}.md" for n in range(5)]
    facet.go.set()
    await cutting
    assert "large.md" in await rig.names("relay")
