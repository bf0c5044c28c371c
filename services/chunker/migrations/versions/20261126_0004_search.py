"""The words of each workspace with their trigrams, so that a typo finds its neighbours; chunks by their source."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import tenant_table

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LEXEME = """
CREATE TABLE lexeme (
  workspace_id text NOT NULL,
  lexeme       text NOT NULL,
  PRIMARY KEY (workspace_id, lexeme)
)
"""
# Equality on a plain table, not a trigram index: row-level security lets no index serve `%`, which may tell of others.
LEXEME_GRAM = """
CREATE TABLE lexeme_gram (
  workspace_id text     NOT NULL,
  gram         text     NOT NULL,
  lexeme       text     NOT NULL,
  grams        smallint NOT NULL,
  PRIMARY KEY (workspace_id, gram, lexeme) INCLUDE (grams)
)
"""
CHUNK_OF_SOURCE = "CREATE INDEX chunk_of_source ON chunk (workspace_id, source_id, pk)"


def upgrade() -> None:
    for statement in (
        LEXEME,
        *tenant_table("chunker", "lexeme"),
        LEXEME_GRAM,
        *tenant_table("chunker", "lexeme_gram"),
        CHUNK_OF_SOURCE,
    ):
        op.execute(statement)
