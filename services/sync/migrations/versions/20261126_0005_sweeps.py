"""Sweeps, deletions that are held for approval, what a sweep buried, and items to try again."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import locatable, tenant_table

revision = "20261126_0005"
down_revision = "20261126_0004"
branch_labels = None
depends_on = None

SWEEPS = (
    "ALTER TABLE work ADD COLUMN again_kind text",
    # One row a whole listing of a stream. Rows of the copy written after `since` are newer than what it shows.
    """
CREATE TABLE sweep (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  resource_id    text        NOT NULL,
  stream         text        NOT NULL,
  listing        text        NOT NULL,
  cause          text        NOT NULL,
  state          text        NOT NULL DEFAULT 'running',
  since          timestamptz NOT NULL,
  scopes         text[]      NOT NULL DEFAULT '{}',
  pages          bigint      NOT NULL DEFAULT 0,
  items          bigint      NOT NULL DEFAULT 0,
  errors         bigint      NOT NULL DEFAULT 0,
  chain_closed   boolean     NOT NULL DEFAULT false,
  missing        bigint      NOT NULL DEFAULT 0,
  of             bigint      NOT NULL DEFAULT 0,
  deleted        bigint      NOT NULL DEFAULT 0,
  restored       bigint      NOT NULL DEFAULT 0,
  started_at     timestamptz NOT NULL DEFAULT now(),
  finished_at    timestamptz
)
""",
    "CREATE UNIQUE INDEX sweep_running ON sweep (resource_id, stream) WHERE state = 'running'",
    "CREATE INDEX sweep_integration ON sweep (integration_id, id)",
    "CREATE INDEX sweep_resource ON sweep (resource_id)",
    """
CREATE TABLE held_deletion (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  resource_id    text        NOT NULL,
  stream         text        NOT NULL,
  sweep_id       text        NOT NULL,
  provider       text        NOT NULL,
  reason         text        NOT NULL,
  certificate    jsonb       NOT NULL,
  count          bigint      NOT NULL,
  of             bigint      NOT NULL,
  state          text        NOT NULL DEFAULT 'held',
  deleted        bigint      NOT NULL DEFAULT 0,
  restored       bigint      NOT NULL DEFAULT 0,
  created_at     timestamptz NOT NULL DEFAULT now(),
  decided_at     timestamptz,
  decided_by     text,
  restored_at    timestamptz
)
""",
    "CREATE INDEX held_deletion_integration ON held_deletion (integration_id, id)",
    "CREATE UNIQUE INDEX held_deletion_open ON held_deletion (resource_id, stream) WHERE state = 'held'",
    "CREATE INDEX held_deletion_resource ON held_deletion (resource_id)",
    """
CREATE TABLE held_source (
  held_id      text NOT NULL,
  source_id    text NOT NULL,
  workspace_id text NOT NULL,
  resource_id  text NOT NULL,
  key          text COLLATE "C" NOT NULL,
  PRIMARY KEY (held_id, source_id)
)
""",
    "CREATE INDEX held_source_key ON held_source (resource_id, key)",
    # Whole rows as JSON: what comes back is what went, whatever columns there are by then.
    """
CREATE TABLE buried_source (
  source_id      text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  resource_id    text        NOT NULL,
  sweep_id       text        NOT NULL,
  held_id        text,
  source         jsonb       NOT NULL,
  parts          jsonb       NOT NULL,
  changed_files  jsonb       NOT NULL,
  buried_at      timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL
)
""",
    "CREATE INDEX buried_source_sweep ON buried_source (sweep_id, source_id)",
    "CREATE INDEX buried_source_held ON buried_source (held_id, source_id) WHERE held_id IS NOT NULL",
    "CREATE INDEX buried_source_resource ON buried_source (resource_id)",
    "CREATE INDEX buried_source_expiry ON buried_source (workspace_id, expires_at)",
)

QUARANTINE = (
    # `by_key` false: nothing names the item, so only a whole listing of its stream can read it again.
    "ALTER TABLE quarantined_item ADD COLUMN by_key boolean NOT NULL DEFAULT true",
    "ALTER TABLE quarantined_item ADD COLUMN retry_at timestamptz NOT NULL DEFAULT now() + interval '1 minute'",
    "CREATE INDEX quarantined_item_integration ON quarantined_item (integration_id, resource_id, key)",
    """
CREATE TABLE captured_page (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  resource_id    text        NOT NULL,
  stream         text        NOT NULL,
  code           text        NOT NULL,
  detail         text        NOT NULL,
  status         integer     NOT NULL,
  url            text        NOT NULL,
  body           text        NOT NULL,
  cut            boolean     NOT NULL,
  captured_at    timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL
)
""",
    "CREATE INDEX captured_page_integration ON captured_page (integration_id, id)",
    "CREATE INDEX captured_page_resource ON captured_page (resource_id)",
    "CREATE INDEX captured_page_expiry ON captured_page (workspace_id, expires_at)",
)

TENANT_TABLES = ("sweep", "held_deletion", "held_source", "buried_source", "captured_page")
LOCATABLE = ("sweep", "held_deletion", "captured_page")


def upgrade() -> None:
    statements = [*SWEEPS, *QUARANTINE]
    for table in TENANT_TABLES:
        statements += tenant_table("sync", table)
    for table in LOCATABLE:
        statements += locatable("sync", table)
    for statement in statements:
        op.execute(statement)
