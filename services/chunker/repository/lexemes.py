"""The words that a workspace's texts hold, so that a mistyped one finds those that look alike."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Transaction

# Neither a digest nor a number is mistyped for a word. In order, so that two indexers never wait for each other.
REMEMBER = """
WITH given AS (
  SELECT DISTINCT p.lexeme FROM chunk k JOIN posting p ON p.chunk_pk = k.pk
  WHERE k.source_id = :source_id AND k.id = ANY(CAST(:ids AS text[]))
  AND length(p.lexeme) BETWEEN 4 AND 30 AND p.lexeme !~ '[0-9]'
), fresh AS (
  INSERT INTO lexeme (workspace_id, lexeme)
  SELECT :workspace_id, g.lexeme FROM given g
  WHERE NOT EXISTS (SELECT FROM lexeme l WHERE l.workspace_id = :workspace_id AND l.lexeme = g.lexeme)
  ORDER BY g.lexeme ON CONFLICT DO NOTHING RETURNING lexeme
)
INSERT INTO lexeme_gram (workspace_id, gram, lexeme, grams)
SELECT :workspace_id, gram, f.lexeme, cardinality(show_trgm(f.lexeme))
FROM fresh f CROSS JOIN LATERAL unnest(show_trgm(f.lexeme)) AS gram
"""

# Words that no chunk holds any more may still be here: whoever asks counts their chunks.
ALIKE = """
SELECT m.word, n.lexeme
FROM unnest(CAST(:words AS text[])) AS m(word)
CROSS JOIN LATERAL (
  SELECT g.lexeme, CAST(count(*) AS float8) / (min(g.grams) + cardinality(show_trgm(m.word)) - count(*)) AS alike
  FROM lexeme_gram g WHERE g.gram = ANY(show_trgm(m.word))
  GROUP BY g.lexeme ORDER BY alike DESC, g.lexeme LIMIT :limit
) n ORDER BY m.word, n.alike DESC, n.lexeme
"""


async def remember(tx: Transaction, workspace: str, source_id: str, ids: Sequence[str]) -> None:
    """The words of these chunks, once their postings are written."""
    await tx.execute(REMEMBER, workspace_id=workspace, source_id=source_id, ids=list(ids))


async def alike(tx: Transaction, words: Sequence[str], limit: int) -> dict[str, list[str]]:
    """For each word the lexemes that share most of its trigrams, the most alike first."""
    found: dict[str, list[str]] = {word: [] for word in words}
    for row in await tx.fetch_all(ALIKE, words=list(words), limit=limit):
        found[row["word"]].append(row["lexeme"])
    return found
