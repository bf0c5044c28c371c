"""A vector for each section of a chunk: what is embedded of it, and which of its sections a vector is of."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE chunk ADD COLUMN passages text[]",  # where it is not the chunk as a whole
    "ALTER TABLE indexed_source ADD COLUMN passages integer NOT NULL DEFAULT 0",
    "ALTER TABLE chunk_vector ADD COLUMN part smallint NOT NULL DEFAULT 0",
    "ALTER TABLE chunk_vector DROP CONSTRAINT chunk_vector_pkey",
    "ALTER TABLE chunk_vector ADD PRIMARY KEY (chunk_pk, generation, part)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
