"""Writes a collection as the indexer does, and asks it as the API does."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.database.engine import Database
from libs.common.ids import new_id
from libs.common.internal import SourceItem
from services.chunker.chunking import Chunk
from services.chunker.domain.indexing import Cut
from services.chunker.domain.searching import Question
from services.chunker.embedding.passages import passages_of
from services.chunker.lexical import normalise_for_index
from services.chunker.repository import chunks, workspaces
from services.chunker.use_cases.searching import Searcher
from tests.bench.retrieval.cutting import WINDOW
from tests.bench.retrieval.scoring import Hit
from tests.bench.retrieval.sets import Collection, Page

FOUND = 100


class Indexed(msgspec.Struct, frozen=True):
    """By source and id what each chunk answers, and how long it is: alone, and with what stands around it."""

    workspace: str
    collection: Collection
    chunks: dict[tuple[str, str], Hit]
    in_context: dict[tuple[str, str], Hit]

    def shown_in_context(self) -> Indexed:
        return msgspec.structs.replace(self, chunks=self.in_context)

    def hits(self, found: Sequence[tuple[str, str]]) -> list[Hit]:
        """The best passage of each file, where files are ranked."""
        if self.collection.by_file:
            best: dict[str, tuple[str, str]] = {}
            for source, chunk in found:
                best.setdefault(source, (source, chunk))
            found = list(best.values())
        return [self.chunks[hit] for hit in found]


async def load(db: Database, workspace: str, collection: Collection) -> Indexed:
    async with db.transaction(workspace) as tx:
        await workspaces.remember(tx, workspace)
    alone: dict[tuple[str, str], Hit] = {}
    in_context: dict[tuple[str, str], Hit] = {}
    for page in collection.pages:
        source = new_id()
        async with db.transaction(workspace) as tx:
            await chunks.swap(tx, workspace, _cut(source, page))
        hits = [Hit(one.labels, one.chunk.tokens) for one in page.passages]
        keys = [(source, one.chunk.id) for one in page.passages]
        alone |= zip(keys, hits, strict=True)
        in_context |= {key: _in_context(hits, n) for n, key in enumerate(keys)}
    return Indexed(workspace, collection, alone, in_context)


async def ask(searcher: Searcher, indexed: Indexed, query: str) -> list[tuple[str, str]]:
    """(source, chunk), best first."""
    answers = await searcher.search(indexed.workspace, Question(query=query), limit=FOUND)
    return [(row["source_id"], row["id"]) for row in answers.rows]


def _in_context(page: Sequence[Hit], n: int) -> Hit:
    """With what follows and then what precedes it, as far as a window of the other way of cutting holds them."""
    labels, tokens = page[n]
    for side in (page[n + 1 :], page[:n][::-1]):
        for one in side:
            if tokens + one.tokens > WINDOW:
                break
            labels, tokens = labels | one.labels, tokens + one.tokens
    return Hit(labels, tokens)


def _cut(source: str, page: Page) -> Cut:
    item = SourceItem(
        id=source, state="present", version=1, integration_id="i", resource_id="r", provider="github", type="file",
        name=page.path.rsplit("/", 1)[-1], path=page.path, content_hash="-",
    )  # fmt: skip
    found = tuple(one.chunk for one in page.passages)
    return Cut(
        item=item,
        chunks=found,
        indexed_texts=tuple(normalise_for_index(text_of(one)) for one in found),
        passages=tuple(passages_of(page.kind, one) for one in found),
    )


def text_of(chunk: Chunk) -> str:
    return f"{chunk.context}\n{chunk.text}"
