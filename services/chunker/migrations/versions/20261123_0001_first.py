"""The first schema: what is wanted, what is searchable."""

from alembic import op

from libs.common.database.kernel_tables import kernel_tables_v1
from libs.common.database.policies import locatable, queue_table, tenant_table

revision = "0001"
down_revision = None

INDEX_WANTED = """
CREATE TABLE index_wanted (
  source_id      text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  provider       text        NOT NULL,
  version        bigint      NOT NULL,
  remove         boolean     NOT NULL,
  wanted_at      timestamptz NOT NULL DEFAULT now(),
  due_at         timestamptz NOT NULL DEFAULT now(),
  attempts       integer     NOT NULL DEFAULT 0,
  traceparent    text,
  epoch          bigint      NOT NULL DEFAULT 0
)
"""

INDEXED_SOURCE = """
CREATE TABLE indexed_source (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  resource_id    text        NOT NULL,
  resource_name  text        NOT NULL DEFAULT '',
  provider       text        NOT NULL,
  type           text        NOT NULL,
  name           text        NOT NULL,
  path           text,
  url            text        NOT NULL DEFAULT '',
  author         text        NOT NULL DEFAULT '',
  updated_at     timestamptz,
  version        bigint      NOT NULL,
  content_hash   text        NOT NULL,
  chunks         integer     NOT NULL,
  words          bigint      NOT NULL,
  skipped        text,
  indexed_at     timestamptz NOT NULL DEFAULT now()
)
"""

CHUNK = """
CREATE TABLE chunk (
  pk           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  workspace_id text    NOT NULL,
  source_id    text    NOT NULL,
  id           text    NOT NULL,
  ordinal      integer NOT NULL,
  anchor       text    NOT NULL,
  heading_path text[]  NOT NULL,
  start_byte   integer NOT NULL,
  end_byte     integer NOT NULL,
  tokens       integer NOT NULL,
  words        integer NOT NULL,
  context      text    NOT NULL,
  text         text    NOT NULL,
  UNIQUE (source_id, id)
)
"""

POSTING = """
CREATE TABLE posting (
  workspace_id text     NOT NULL,
  lexeme       text     NOT NULL,
  chunk_pk     bigint   NOT NULL,
  frequency    smallint NOT NULL,
  words        integer  NOT NULL,
  PRIMARY KEY (workspace_id, lexeme, chunk_pk) INCLUDE (frequency, words)
)
"""

SUMMARY = """
CREATE TABLE summary (
  workspace_id text    NOT NULL,
  source_id    text    NOT NULL,
  anchor       text    NOT NULL,
  heading      text    NOT NULL,
  ordinal      integer NOT NULL,
  text         text    NOT NULL,
  method       text    NOT NULL DEFAULT 'extractive',
  chunk_ids    text[]  NOT NULL DEFAULT '{}',
  PRIMARY KEY (source_id, ordinal)
)
"""

KNOWN_WORKSPACE = "CREATE TABLE known_workspace (workspace_id text PRIMARY KEY)"

INDEXES = (
    "CREATE INDEX index_wanted_due ON index_wanted (workspace_id, remove DESC, due_at)",
    "CREATE INDEX indexed_source_workspace ON indexed_source (workspace_id) INCLUDE (chunks, words)",
    "CREATE INDEX indexed_source_integration ON indexed_source (integration_id)",
    "CREATE INDEX posting_chunk ON posting (chunk_pk)",
)


def upgrade() -> None:
    statements = (
        *kernel_tables_v1("chunker"),
        INDEX_WANTED,
        *queue_table("chunker", "index_wanted"),
        INDEXED_SOURCE,
        *tenant_table("chunker", "indexed_source"),
        *locatable("chunker", "indexed_source"),
        CHUNK,
        *tenant_table("chunker", "chunk"),
        POSTING,
        *tenant_table("chunker", "posting"),
        SUMMARY,
        *tenant_table("chunker", "summary"),
        KNOWN_WORKSPACE,
        *tenant_table("chunker", "known_workspace"),
        *INDEXES,
    )
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("this schema is the first: drop the database instead")
