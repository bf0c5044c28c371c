"""Writes a collection as the indexer does, and asks it as the API does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from libs.common.database.engine import Database
from libs.common.ids import new_id
from libs.common.internal import SourceItem
from services.chunker.chunking import Chunk
from services.chunker.domain.indexing import Cut
from services.chunker.domain.searching import Group, Question
from services.chunker.embedding.passages import passages_of
from services.chunker.lexical import normalise_for_index
from services.chunker.repository import chunks, workspaces
from services.chunker.use_cases.searching import Searcher
from tests.bench.retrieval.scoring import Hit
from tests.bench.retrieval.sets import Collection, Page

FOUND = 100


class Found(NamedTuple):
    """A hit: chunks of one source that are shown together."""

    source: str
    chunks: tuple[str, ...]


class Indexed(msgspec.Struct, frozen=True):
    """By source and id what each chunk answers, and how long it is."""

    workspace: str
    collection: Collection
    chunks: dict[tuple[str, str], Hit]

    def hits(self, found: Sequence[Found]) -> list[Hit]:
        """The best of each file, where files are ranked."""
        if self.collection.by_file:
            best: dict[str, Found] = {}
            for one in found:
                best.setdefault(one.source, one)
            found = list(best.values())
        return [self._shown(one) for one in found]

    def _shown(self, found: Found) -> Hit:
        parts = [self.chunks[found.source, chunk] for chunk in found.chunks]
        return Hit(frozenset[str]().union(*(one.labels for one in parts)), sum(one.tokens for one in parts))


async def load(db: Database, workspace: str, collection: Collection) -> Indexed:
    async with db.transaction(workspace) as tx:
        await workspaces.remember(tx, workspace)
    shown: dict[tuple[str, str], Hit] = {}
    for page in collection.pages:
        source = new_id()
        async with db.transaction(workspace) as tx:
            await chunks.swap(tx, workspace, _cut(source, page))
        shown |= {(source, one.chunk.id): Hit(one.labels, one.chunk.tokens) for one in page.passages}
    return Indexed(workspace, collection, shown)


async def ask(searcher: Searcher, indexed: Indexed, query: str, group: Group) -> list[Found]:
    """Best first."""
    answers = await searcher.search(indexed.workspace, Question(query=query, group=group), limit=FOUND)
    return [
        Found(row["source_id"], (row["id"], *(one["id"] for one in beside)))
        for row, beside in zip(answers.rows, answers.beside, strict=True)
    ]


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
