"""How well searches answer: ours beside full text as usually written, each ranking alone, and windows of 512 tokens.

Run by `make bench-retrieval`. Everything goes through our chunker, our tables and our search. Our own questions about
docs/ need nothing; RETRIEVAL_DATA= names the directory of the larger sets, which are not part of this repository.
Arguments name some of the collections (own, own_held_out, headings, guides_held_out, commits); without any it is all.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import asyncpg

from libs.common.database.engine import Database
from libs.local.models import ModelUnavailable
from services.chunker.domain.embedding import Generation
from services.chunker.domain.searching import Group
from services.chunker.index.postgres import PostgresIndex
from services.chunker.repository import vectors
from services.chunker.use_cases.searching import Searcher
from tests.bench.retrieval import cutting, sets
from tests.bench.retrieval.embedding import Kept, embed_workspace
from tests.bench.retrieval.loading import FOUND, Found, Indexed, ask, load
from tests.bench.retrieval.rivals import FTS_AND, FTS_OR, FullText
from tests.bench.retrieval.scoring import Scores, mean, score
from tests.support.schemas import migrate_schemas
from tests.support.stack import running_postgres, temporary_state

Ask = Callable[[str], Awaitable[list[Found]]]
Load = Callable[[sets.Cutter], sets.Collection]
MISSING = """RETRIEVAL_DATA={place} has no {name}.
The larger sets are given from outside: a directory with {names}.
Run RETRIEVAL_DATA=<directory> make bench-retrieval."""


def main() -> int:
    place = Path(os.environ.get("RETRIEVAL_DATA", "tests/bench/retrieval/data"))
    missing = next((name for name in sets.FILES if not (place / name).is_file()), None)
    with temporary_state() as state, running_postgres(state) as postgres:
        migrate_schemas(postgres, "chunker")
        db = Database("chunker", app_url=postgres.dsn("chunker_app"), worker_url=postgres.dsn("chunker_worker"))
        asyncio.run(_bench(db, postgres.dsn("postgres"), _loads(place, given=missing is None)))
    if missing:
        print(MISSING.format(place=place, name=missing, names=", ".join(sets.FILES)))
        return 2
    return 0


def _loads(place: Path, *, given: bool) -> list[Load]:
    loads: dict[str, Load] = {"own": sets.own, "own_held_out": sets.own_held_out}
    if given:
        larger = {"headings": sets.headings, "guides_held_out": sets.guides, "commits": sets.commits}
        loads |= {name: partial(load_by, place) for name, load_by in larger.items()}
    return [load_by for name, load_by in loads.items() if name in sys.argv[1:] or not sys.argv[1:]]


async def _bench(db: Database, admin_url: str, loads: list[Load]) -> None:
    admin = await asyncpg.connect(admin_url)
    try:
        kept: Kept | None = Kept()
    except ModelUnavailable as error:
        print(f"words alone: {error}")
        kept = None
    try:
        for collection in loads:
            await _compare(Bench(db, FullText(admin), kept), collection)
    finally:
        await admin.close()
        await db.close()


class Bench:
    def __init__(self, db: Database, full_text: FullText, kept: Kept | None) -> None:
        self.db, self.full_text, self.kept = db, full_text, kept
        self.generation: Generation | None = None

    async def load(self, workspace: str, collection: sets.Collection) -> Indexed:
        indexed = await load(self.db, workspace, collection)
        if self.kept is not None:
            self.generation = await self.kept.generation(self.db)
            await embed_workspace(self.db, self.kept, self.generation, workspace)
        return indexed

    def systems(self, indexed: Indexed) -> Iterator[tuple[str, Ask]]:
        """Ours first."""
        queries = self.kept.queries(self.db) if self.kept else None
        yield "ours", self.ours(indexed)
        yield "apart", self.ours(indexed, "none")
        yield "bm25", self._search(Searcher(PostgresIndex(self.db)), indexed)
        if queries is not None:
            yield "rrf", self._search(Searcher(PostgresIndex(self.db), queries=queries, fusion="rrf"), indexed)
            yield "vectors", self._nearest(indexed)
        yield "fts_and", lambda query: self.full_text.ask(FTS_AND, query)
        yield "fts_or", lambda query: self.full_text.ask(FTS_OR, query)

    def ours(self, indexed: Indexed, group: Group | None = None) -> Ask:
        """As whoever wants passages, or files, asks for them."""
        searcher = Searcher(PostgresIndex(self.db), queries=self.kept.queries(self.db) if self.kept else None)
        return self._search(searcher, indexed, group or ("source" if indexed.collection.by_file else "passage"))

    def _search(self, searcher: Searcher, indexed: Indexed, group: Group = "none") -> Ask:
        return lambda query: ask(searcher, indexed, query, group)

    def _nearest(self, indexed: Indexed) -> Ask:
        async def nearest(query: str) -> list[Found]:
            assert self.kept is not None
            assert self.generation is not None
            vector = await self.kept.query(query)
            async with self.db.transaction(indexed.workspace) as tx:
                near = await vectors.nearest(tx, self.generation, vector, FOUND)
                rows = await tx.fetch_all(
                    "SELECT pk, source_id, id FROM chunk WHERE pk = ANY(:pks)", pks=[one.pk for one in near]
                )
            place = {row["pk"]: Found(row["source_id"], (row["id"],)) for row in rows}
            return [place[one.pk] for one in near]

        return nearest


async def _compare(bench: Bench, load_by: Load) -> None:
    collection = load_by(cutting.ours)
    indexed = await bench.load(f"{collection.name}-ours", collection)
    windows = await bench.load(f"{collection.name}-windows", load_by(cutting.windows))
    await bench.full_text.load(indexed)
    print(f"{collection.name}: {len(collection.queries)} questions, {len(indexed.chunks)} chunks")
    results = {name: await _scores(indexed, system) for name, system in bench.systems(indexed)}
    results["windows_512"] = await _scores(windows, bench.ours(windows))
    for name, scores in results.items():
        _tell_row(name, scores)
    _tell_figures(collection.name, {name: mean(scores) for name, scores in results.items()})


async def _scores(indexed: Indexed, system: Ask) -> list[Scores]:
    return [
        score(indexed.hits(await system(query.text)), query.relevant, any_of=query.any_of)
        for query in indexed.collection.queries
    ]


def _tell_row(name: str, scores: list[Scores]) -> None:
    """Both halves: what was chosen by the even questions is confirmed by the odd ones."""
    whole, even, odd = mean(scores), mean(scores[::2]), mean(scores[1::2])
    print(
        f"  {name:<12} nDCG@10 {whole.ndcg:.3f}  recall@5 {whole.recall:.3f}  MRR@10 {whole.mrr:.3f}"
        f"  within 2,000 tokens {whole.read:.3f}"
        f"  (nDCG of even questions {even.ndcg:.3f}, of odd {odd.ndcg:.3f})"
    )


def _tell_figures(collection: str, results: dict[str, Scores]) -> None:
    ours = results.pop("ours")
    for measure, unit in (("ndcg", "ndcg@10"), ("recall", "recall@5"), ("mrr", "mrr@10"), ("read", "found@2000tokens")):
        value = getattr(ours, measure)
        for rival, scores in results.items():
            ratio = value / max(getattr(scores, measure), 1e-9)
            print(f"figure retrieval_{collection}_{measure} value={value:.3f} unit={unit} against={rival} "
                  f"ratio={ratio:.3f}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
