"""100,000 chunks of one workspace and 100 of another: texts in the words of our own files, vectors in clusters.

Words are drawn as often as they stand in docs/ and libs/, so common ones are in most chunks; 500 clusters of unit
vectors, as in the measurements that the targets come from. All is written by COPY, vectors as binary halfvec.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import numpy as np

from services.chunker.embedding.halfvec import halfvecs
from services.chunker.lexical import normalise_for_index

ROOT = Path(__file__).resolve().parents[2]
LARGE, SMALL = "large", "small"
CHUNKS = {LARGE: 100_000, SMALL: 100}
PER_SOURCE = 20
WORDS = 150
CLUSTERS, DIMENSION, SPREAD = 500, 768, 0.6
LANGUAGES = ("go", "rust", "python", "ruby")  # paths by which a filter narrows


class Corpus(NamedTuple):
    """`lexemes[i]` is what the index keeps of `words[i]`, None for a stop word; `shares` how often each is drawn."""

    words: list[str]
    lexemes: list[str | None]
    shares: Any
    centres: Any


async def read_corpus(admin: asyncpg.Connection[asyncpg.Record], random: Any) -> Corpus:
    counts: Counter[str] = Counter()
    for pattern in ("docs/**/*.md", "libs/**/*.py"):
        for file in sorted(ROOT.glob(pattern)):
            counts.update(re.findall(r"[a-z]{2,20}", normalise_for_index(file.read_text()).lower()))
    words = sorted(counts)
    rows = await admin.fetch(
        "SELECT (tsvector_to_array(to_tsvector('english', word)))[1] AS lexeme"
        " FROM unnest($1::text[]) WITH ORDINALITY AS w(word, n) ORDER BY n", words
    )  # fmt: skip
    shares = np.array([counts[word] for word in words], dtype=float)
    centres = random.normal(size=(CLUSTERS, DIMENSION))
    return Corpus(words, [row["lexeme"] for row in rows], shares / shares.sum(), _unit(centres))


async def fill(
    admin: asyncpg.Connection[asyncpg.Record],
    corpus: Corpus,
    generation: int,
    random: Any,
    chunks: Mapping[str, int] = CHUNKS,
) -> dict[str, Any]:
    """Answers the vectors of each workspace, by the order of their keys."""
    await admin.set_type_codec("halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary")
    graph = await admin.fetchval("SELECT pg_get_indexdef($1::regclass)", f"chunk_vector_nearest_{generation}")
    await admin.execute(
        "ALTER TABLE posting DROP CONSTRAINT posting_pkey;"
        f"DROP INDEX posting_chunk, chunk_vector_nearest_{generation};"
        "SET maintenance_work_mem = '512MB'"
    )
    embedded = {}
    pk = 0
    for workspace, count in chunks.items():
        await admin.execute("INSERT INTO known_workspace VALUES ($1)", workspace)
        embedded[workspace] = await _fill_workspace(admin, corpus, workspace, range(pk, pk + count), generation, random)
        pk += count
    await admin.execute(
        "ALTER TABLE posting ADD PRIMARY KEY (workspace_id, lexeme, chunk_pk) INCLUDE (frequency, words);"
        "CREATE INDEX posting_chunk ON posting (chunk_pk)"
    )
    await admin.execute(graph)
    await admin.execute("VACUUM ANALYZE")
    return embedded


async def _fill_workspace(
    admin: asyncpg.Connection[asyncpg.Record], corpus: Corpus, workspace: str, pks: range, generation: int, random: Any
) -> Any:
    vectors = _unit(corpus.centres[random.integers(CLUSTERS, size=len(pks))] + _noise(len(pks), random))
    for start in range(0, len(pks), 2000):
        batch = pks[start : start + 2000]
        drawn = random.choice(len(corpus.words), size=(len(batch), WORDS), p=corpus.shares)
        postings = [_postings(corpus, row) for row in drawn]
        chunks = [
            (pk, workspace, _source(workspace, pk), f"{pk:032x}", pk % PER_SOURCE, "", [], 0, 0, 256,
             sum(found.values()), "", " ".join(corpus.words[i] for i in row))
            for pk, row, found in zip(batch, drawn, postings, strict=True)
        ]  # fmt: skip
        await _copy(admin, "chunk", chunks)
        await _copy(admin, "posting", [
            (workspace, lexeme, pk, count, sum(found.values()))
            for pk, found in zip(batch, postings, strict=True) for lexeme, count in found.items()
        ])  # fmt: skip
        await _copy(admin, "chunk_vector", [
            (workspace, _source(workspace, pk), pk, generation, vector)
            for pk, vector in zip(batch, halfvecs(vectors[start : start + 2000]), strict=True)
        ])  # fmt: skip
    await admin.execute(SOURCES, workspace, list(LANGUAGES))
    return vectors


COLUMNS = {
    "chunk": "pk workspace_id source_id id ordinal anchor heading_path start_byte end_byte tokens words context text",
    "posting": "workspace_id lexeme chunk_pk frequency words",
    "chunk_vector": "workspace_id source_id chunk_pk generation embedding",
}
SOURCES = """
INSERT INTO indexed_source (id, workspace_id, integration_id, resource_id, provider, type, name, path, version,
  content_hash, chunks, passages, words)
SELECT source_id, $1, 'i', 'r' || min(pk) % 50, 'github', 'file', 'f.py',
  ($2::text[])[1 + (min(pk) / 20) % 4] || '/' || min(pk) || '.py', 1, '-', count(*), count(*), sum(words)
FROM chunk WHERE workspace_id = $1 GROUP BY source_id
"""


async def _copy(admin: asyncpg.Connection[asyncpg.Record], table: str, rows: list[tuple[Any, ...]]) -> None:
    await admin.copy_records_to_table(table, records=rows, columns=COLUMNS[table].split(), schema_name="chunker")


def _postings(corpus: Corpus, row: Any) -> Counter[str]:
    return Counter(lexeme for i in row if (lexeme := corpus.lexemes[i]) is not None)


def _source(workspace: str, pk: int) -> str:
    return f"{workspace}-{pk // PER_SOURCE}"


def _noise(count: int, random: Any) -> Any:
    return SPREAD * random.normal(size=(count, DIMENSION)) / np.sqrt(DIMENSION)


def _unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def queries(corpus: Corpus, count: int, random: Any) -> Iterator[tuple[str, Any]]:
    """Two to six words as people ask: by their share, but each once; beside them a vector near some cluster."""
    for _ in range(count):
        words = random.choice(len(corpus.words), size=int(random.integers(2, 7)), p=corpus.shares, replace=False)
        centre = corpus.centres[random.integers(CLUSTERS)]
        yield " ".join(corpus.words[i] for i in words), _unit(centre + _noise(1, random))[0]
