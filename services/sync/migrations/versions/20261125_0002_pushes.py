"""Pushes, and the changed files that belong to one: a row tells its push, its source, or both."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import tenant_table

revision = "20261125_0002"
down_revision = "20261123_0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
CREATE TABLE push (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  resource_id    text        NOT NULL,
  key            text COLLATE "C" NOT NULL,
  stream         text        NOT NULL,
  branch         text        NOT NULL,
  before         text        NOT NULL,
  after          text        NOT NULL,
  forced         boolean     NOT NULL,
  at             timestamptz NOT NULL,
  UNIQUE (resource_id, key)
)
""",
    "CREATE INDEX push_resource ON push (resource_id, id)",
    "CREATE INDEX push_integration ON push (integration_id)",
    *tenant_table("sync", "push"),
    # No row is rewritten: those of a pull request keep their source and have no push.
    "ALTER TABLE changed_file DROP CONSTRAINT changed_file_pkey",
    "ALTER TABLE changed_file ALTER COLUMN source_id DROP NOT NULL",
    "ALTER TABLE changed_file ADD COLUMN push_id text",
    "ALTER TABLE changed_file ADD CONSTRAINT changed_file_owner CHECK (coalesce(push_id, source_id) IS NOT NULL)",
    "CREATE UNIQUE INDEX changed_file_of_source ON changed_file (source_id, position) WHERE push_id IS NULL",
    "CREATE UNIQUE INDEX changed_file_of_push ON changed_file (push_id, position) WHERE push_id IS NOT NULL",
    "CREATE INDEX changed_file_history ON changed_file (source_id, push_id) WHERE push_id IS NOT NULL",
    "CREATE INDEX changed_file_unlinked ON changed_file (push_id, path) WHERE source_id IS NULL",
    "CREATE INDEX changed_file_previous_path ON changed_file (workspace_id, previous_path)"
    " WHERE previous_path IS NOT NULL",
    # A push finds the sources of its paths.
    "CREATE INDEX source_path ON source (resource_id, path) WHERE path IS NOT NULL AND NOT tombstone",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
