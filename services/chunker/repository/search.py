"""BM25 in SQL over the postings, held to whatever narrows the search."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Row, Transaction
from services.chunker.domain.bm25 import K1, B
from services.chunker.domain.joining import Place
from services.chunker.domain.query import Parsed
from services.chunker.domain.searching import Held, Read, Word
from services.chunker.repository.filters import Narrowing

# One row a lexeme of the query, or one with none; counting reads nothing but the index of the postings.
READ_QUERY = """
SELECT k.known, c.chunks, c.words, tsvector_to_array(to_tsvector('english', :phrase_words)) AS quoted, w.lexeme,
  (SELECT count(*) FROM posting p WHERE p.lexeme = w.lexeme) AS held
FROM (SELECT EXISTS (SELECT FROM known_workspace) AS known) k
CROSS JOIN (
  SELECT CAST(coalesce(sum(chunks), 0) AS double precision) AS chunks,
    CAST(coalesce(sum(words), 0) AS double precision) AS words
  FROM indexed_source
) c
LEFT JOIN unnest(to_tsvector('english', :words)) w ON true
"""

ANALYSE = """
SELECT EXISTS (SELECT FROM known_workspace) AS known, tsvector_to_array(to_tsvector('english', :words)) AS looked_for,
  tsvector_to_array(to_tsvector('english', :phrase_words)) AS quoted
"""

LENGTH = f"{1 - B} + {B} * p.words / CAST(:mean AS double precision)"
WEIGHT = f"w.idf * p.frequency * {K1 + 1} / (p.frequency + {K1} * ({LENGTH}))"
# The words one by one, each looked up in the index: whatever the statistics say, no plan reads the table.
SCORED = f"""
  SELECT p.chunk_pk AS pk, sum({WEIGHT}) AS score
  FROM unnest(CAST(:lexemes AS text[]), CAST(:idfs AS double precision[])) AS w(lexeme, idf)
  CROSS JOIN LATERAL (
    SELECT chunk_pk, CAST(frequency AS double precision) AS frequency, words FROM posting p
    WHERE p.lexeme = w.lexeme {{held}} OFFSET 0
  ) p
  GROUP BY p.chunk_pk
"""
RANK = f"WITH {{allowed}} scored AS ({SCORED}) SELECT pk, score FROM scored ORDER BY score DESC, pk LIMIT :depth"
# Rare words choose who is looked at, common ones are looked up for those alone. `edge`: no other has more of the rare.
RANK_BY_RARE = f"""
WITH {{allowed}} scored AS ({SCORED}), pool AS MATERIALIZED (
  SELECT pk, score FROM scored ORDER BY score DESC, pk LIMIT :pool
), whole AS (
  SELECT s.pk, s.score + coalesce((
    SELECT sum({WEIGHT})
    FROM unnest(CAST(:common AS text[]), CAST(:common_idfs AS double precision[])) AS w(lexeme, idf)
    JOIN posting p ON p.lexeme = w.lexeme AND p.chunk_pk = s.pk
  ), 0) AS score FROM pool s
)
SELECT pk, score, (SELECT CASE WHEN count(*) = :pool THEN min(score) ELSE 0 END FROM pool) AS edge
FROM whole ORDER BY score DESC, pk LIMIT :depth
"""
SIZE_OF = """
SELECT coalesce(sum(chunks), 0) AS chunks, CAST(coalesce(sum(words), 0) AS double precision) AS words
FROM indexed_source WHERE id = ANY(CAST(:sources AS text[]))
"""
HELD_BY = """
SELECT p.lexeme, count(*) AS held FROM chunk k JOIN posting p ON p.chunk_pk = k.pk
WHERE k.source_id = ANY(CAST(:sources AS text[])) AND p.lexeme = ANY(CAST(:lexemes AS text[])) GROUP BY p.lexeme
"""
ALLOWED_OF = "SELECT a.pk FROM ({sql}) a WHERE a.pk = ANY(CAST(:pks AS bigint[]))"
ALLOWED = "allowed AS MATERIALIZED ({sql}),"
HELD = "AND p.chunk_pk IN (SELECT pk FROM allowed)"
COMMON_IDF = 1.8  # of a word in every sixth chunk
POOL = 20  # times the depth

COUNT = """
SELECT w.lexeme, (SELECT count(*) FROM posting p WHERE p.lexeme = w.lexeme) AS held
FROM unnest(CAST(:lexemes AS text[])) AS w(lexeme)
"""
PLACES = "SELECT pk, source_id, ordinal, tokens FROM chunk WHERE pk = ANY(CAST(:pks AS bigint[]))"
MATCHED = """
SELECT chunk_pk, lexeme, frequency, words FROM posting
WHERE lexeme = ANY(CAST(:lexemes AS text[])) AND chunk_pk = ANY(CAST(:pks AS bigint[])) ORDER BY lexeme
"""
CHUNKS = """
SELECT k.pk, k.id, k.text, k.anchor, k.heading_path, k.start_byte, k.end_byte, s.id AS source_id, s.type, s.name,
  s.url, s.path, s.provider, s.integration_id, s.resource_id, s.resource_name, s.version
FROM chunk k JOIN indexed_source s ON s.id = k.source_id WHERE k.pk = ANY(CAST(:pks AS bigint[]))
"""

# Nodes of one level that these chunks belong to.
SUMMARIES = """
WITH held AS (
  SELECT k.source_id, k.id, s.resource_id, s.integration_id
  FROM chunk k JOIN indexed_source s ON s.id = k.source_id WHERE k.pk = ANY(CAST(:pks AS bigint[]))
)
SELECT n.id, n.level, n.title, n.anchor, n.text, n.method, n.chunk_ids, n.source_id, n.resource_id, n.integration_id
FROM summary n WHERE n.level = :level AND {of}
"""
OF = {
    "section": "EXISTS (SELECT FROM held h WHERE h.source_id = n.source_id AND h.id = ANY(n.chunk_ids))",
    "source": "n.source_id IN (SELECT source_id FROM held)",
    "resource": "(n.integration_id, n.resource_id) IN (SELECT integration_id, resource_id FROM held)",
}
# BM25 as over the postings; only the mean length is of these texts themselves.
RANK_TEXTS = f"""
WITH words AS (
  SELECT g.n, t.lexeme, CAST(cardinality(t.positions) AS double precision) AS frequency
  FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS g(text, n)
  CROSS JOIN LATERAL unnest(to_tsvector('english', g.text)) AS t(lexeme, positions, weights)
), lengths AS (
  SELECT n, sum(frequency) AS words, avg(sum(frequency)) OVER () AS mean FROM words GROUP BY n
)
SELECT v.n - 1 AS n, sum(w.idf * v.frequency * {K1 + 1} / (v.frequency + {K1} * ({1 - B} + {B} * l.words / l.mean)))
  AS score
FROM words v JOIN lengths l USING (n)
JOIN unnest(CAST(:lexemes AS text[]), CAST(:idfs AS double precision[])) AS w(lexeme, idf) USING (lexeme)
GROUP BY v.n
"""


async def read_query(tx: Transaction, parsed: Parsed) -> Read:
    rows = await tx.fetch_all(READ_QUERY, words=parsed.words, phrase_words=parsed.phrase_words)
    one = rows[0]
    held = {row["lexeme"]: row["held"] for row in rows if row["lexeme"] is not None}
    return Read(one["known"], one["chunks"], max(one["words"], 1.0) / max(one["chunks"], 1.0), held, one["quoted"])


async def analyse(tx: Transaction, parsed: Parsed) -> tuple[bool, list[str], list[str]]:
    """Whether the workspace is known, the lexemes of the query and those of its phrases: nothing is counted."""
    row = await tx.fetch_one(ANALYSE, words=parsed.words, phrase_words=parsed.phrase_words)
    assert row is not None  # noqa: S101 - it reads no table that may be empty
    return row["known"], list(row["looked_for"]), list(row["quoted"])


async def held_by(tx: Transaction, sources: Sequence[str], lexemes: Sequence[str]) -> Held:
    """Of these sources alone: how many chunks and words they have, and in how many chunks each lexeme stands."""
    if not sources:
        return Held(0, 0.0, {})
    size = await tx.fetch_one(SIZE_OF, sources=list(sources))
    rows = await tx.fetch_all(HELD_BY, sources=list(sources), lexemes=list(lexemes))
    assert size is not None  # noqa: S101 - an aggregate always answers
    return Held(size["chunks"], size["words"], {row["lexeme"]: row["held"] for row in rows})


async def allowed(tx: Transaction, pks: Sequence[int], narrow: Narrowing | None) -> set[int]:
    """Those of the chunks that are there, of this workspace and within what narrows the search."""
    sql = ALLOWED_OF.format(sql=narrow.sql if narrow else "SELECT pk FROM chunk")
    return {row["pk"] for row in await tx.fetch_all(sql, pks=list(pks), **(narrow.values if narrow else {}))}


async def count(tx: Transaction, lexemes: Sequence[str]) -> dict[str, int]:
    rows = await tx.fetch_all(COUNT, lexemes=list(lexemes))
    return {row["lexeme"]: row["held"] for row in rows}


async def rank(
    tx: Transaction, words: Sequence[Word], mean: float, narrow: Narrowing | None, depth: int
) -> Sequence[Row]:
    """`pk` and `score` of the best chunks, at most `depth`."""
    rare = [word for word in words if word.idf > COMMON_IDF]
    common = [word for word in words if word.idf <= COMMON_IDF]
    if rare and common:
        found = await _rank_by_rare(tx, rare, common, mean, narrow, depth)
        most = sum(word.idf * (K1 + 1) for word in common)  # what a chunk of common words alone could have
        if len(found) == depth and found[-1]["score"] >= found[-1]["edge"] + most:
            return found
    return await tx.fetch_all(_sql(RANK, narrow), **_asked(words, mean, narrow, depth))


async def _rank_by_rare(
    tx: Transaction, rare: Sequence[Word], common: Sequence[Word], mean: float, narrow: Narrowing | None, depth: int
) -> Sequence[Row]:
    parameters = {
        "common": [word.lexeme for word in common],
        "common_idfs": [word.idf for word in common],
        "pool": POOL * depth,
    }
    return await tx.fetch_all(_sql(RANK_BY_RARE, narrow), **_asked(rare, mean, narrow, depth), **parameters)


def _asked(words: Sequence[Word], mean: float, narrow: Narrowing | None, depth: int) -> dict[str, object]:
    return {
        "lexemes": [word.lexeme for word in words],
        "idfs": [word.idf for word in words],
        "mean": mean,
        "depth": depth,
        **(narrow.values if narrow else {}),
    }


def rank_sql(narrow: Narrowing | None) -> str:
    return _sql(RANK, narrow)


def _sql(statement: str, narrow: Narrowing | None) -> str:
    return statement.format(allowed=ALLOWED.format(sql=narrow.sql) if narrow else "", held=HELD if narrow else "")


async def places(tx: Transaction, pks: Sequence[int]) -> dict[int, Place]:
    rows = await tx.fetch_all(PLACES, pks=list(pks))
    return {row["pk"]: Place(row["source_id"], row["ordinal"], row["tokens"]) for row in rows}


async def matched(tx: Transaction, pks: Sequence[int], words: Sequence[Word]) -> Sequence[Row]:
    return await tx.fetch_all(MATCHED, pks=list(pks), lexemes=[word.lexeme for word in words])


async def summaries_of(tx: Transaction, level: str, pks: Sequence[int]) -> Sequence[Row]:
    return await tx.fetch_all(SUMMARIES.format(of=OF[level]), level=level, pks=list(pks))


async def rank_texts(tx: Transaction, texts: Sequence[str], words: Sequence[Word]) -> dict[int, float]:
    """The score of each normalised text that holds one of the words, by its place."""
    parameters = {"lexemes": [word.lexeme for word in words], "idfs": [word.idf for word in words]}
    return {row["n"]: row["score"] for row in await tx.fetch_all(RANK_TEXTS, texts=list(texts), **parameters)}


async def chunks(tx: Transaction, pks: Sequence[int]) -> dict[int, Row]:
    return {row["pk"]: row for row in await tx.fetch_all(CHUNKS, pks=list(pks))}
