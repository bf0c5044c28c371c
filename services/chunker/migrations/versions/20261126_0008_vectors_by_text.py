"""Vectors that a text already has, who indexes a source, and what the pages and the pruning of summaries look up."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE feedback ADD COLUMN content_hash text NOT NULL DEFAULT ''",  # of the source when it was said
    "ALTER TABLE chunk ADD COLUMN readable text",  # where it is another than the text
    "ALTER TABLE index_wanted ADD COLUMN held boolean NOT NULL DEFAULT false",
    "ALTER TABLE chunk_vector ADD COLUMN text_hash bytea",
    # The same rows in the same order as before for whoever reads a workspace's vectors, and the way to one by its text.
    "DROP INDEX chunk_vector_workspace",
    "CREATE INDEX chunk_vector_workspace ON chunk_vector (workspace_id, generation, text_hash)",
    "CREATE INDEX summary_level ON summary (workspace_id, level, id)",
    "CREATE INDEX summary_resource ON summary (resource_id, level, id)",
    "ALTER TABLE summary_paid ADD COLUMN unread_since timestamptz",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
