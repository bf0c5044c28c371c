"""What people said of answers: one word a person and target, and its counts for each integration."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import locatable, tenant_table

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# `chunk_id` '' is the source as a whole.
FEEDBACK = """
CREATE TABLE feedback (
  id             text        PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  source_id      text        NOT NULL,
  chunk_id       text        NOT NULL,
  subject        text        NOT NULL,
  signal         text        NOT NULL,
  query          text        NOT NULL,
  comment        text        NOT NULL,
  recorded_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (source_id, chunk_id, subject)
)
"""

# By the integration's id.
FEEDBACK_COUNT = """
CREATE TABLE feedback_count (
  id           text    PRIMARY KEY,
  workspace_id text    NOT NULL,
  version      bigint  NOT NULL,
  helpful      integer NOT NULL DEFAULT 0,
  unhelpful    integer NOT NULL DEFAULT 0,
  outdated     integer NOT NULL DEFAULT 0,
  incorrect    integer NOT NULL DEFAULT 0
)
"""

INDEXES = (
    "CREATE INDEX feedback_integration ON feedback (integration_id, recorded_at DESC, id DESC)",
    "CREATE INDEX chunk_id ON chunk USING hash (id)",
)


def upgrade() -> None:
    statements = (
        FEEDBACK,
        *tenant_table("chunker", "feedback"),
        FEEDBACK_COUNT,
        *tenant_table("chunker", "feedback_count"),
        *locatable("chunker", "feedback_count"),
        *locatable("chunker", "chunk"),
        *INDEXES,
    )
    for statement in statements:
        op.execute(statement)
