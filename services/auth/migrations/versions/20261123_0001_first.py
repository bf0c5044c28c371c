"""The first schema of auth: workspaces, integrations, credentials, audit."""

from __future__ import annotations

from alembic import op

from libs.common.database.kernel_tables import kernel_tables_v1
from libs.common.database.policies import locatable, tenant_table

revision = "0001"
down_revision = None

WORKSPACE = """
CREATE TABLE workspace (
  workspace_id text PRIMARY KEY,
  created_at   timestamptz NOT NULL DEFAULT now(),
  deleting_at  timestamptz
)
"""

INTEGRATION = """
CREATE TABLE integration (
  id               text PRIMARY KEY,
  workspace_id     text        NOT NULL REFERENCES workspace (workspace_id),
  provider         text        NOT NULL,
  name             text        NOT NULL,
  config           jsonb       NOT NULL,
  features         jsonb       NOT NULL,
  metadata         jsonb       NOT NULL,
  monitor_changes  boolean     NOT NULL,
  polling_enabled  boolean     NOT NULL,
  polling_interval integer     NOT NULL CHECK (polling_interval BETWEEN 1 AND 10080),
  version          bigint      NOT NULL,
  status           text        NOT NULL CHECK (status IN ('active', 'inactive', 'error')),
  paused           boolean     NOT NULL DEFAULT false,
  failing          boolean     NOT NULL DEFAULT false,
  grant_code       text,
  account_id       text        NOT NULL,
  account_name     text        NOT NULL,
  tenant_id        text        NOT NULL,
  scopes           jsonb       NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  disconnected_at  timestamptz,
  UNIQUE (workspace_id, id)
)
"""
ONE_LIVE_PER_TYPE = (
    "CREATE UNIQUE INDEX integration_one_live ON integration (workspace_id, provider) WHERE disconnected_at IS NULL"
)

OBSERVATION = """
CREATE TABLE observation (
  workspace_id     text    NOT NULL,
  integration_id   text    NOT NULL,
  sync_version     bigint  NOT NULL DEFAULT 0,
  last_polled_at   timestamptz,
  next_poll_at     timestamptz,
  change_count     bigint  NOT NULL DEFAULT 0,
  error_count      bigint  NOT NULL DEFAULT 0,
  last_error       text,
  last_error_code  text,
  hooks_version    bigint  NOT NULL DEFAULT 0,
  hooks_state      text    NOT NULL DEFAULT 'none',
  subscriptions    integer NOT NULL DEFAULT 0,
  last_delivery_at timestamptz,
  hooks_expire_at  timestamptz,
  hooks_detail     text    NOT NULL DEFAULT '',
  feedback_version bigint  NOT NULL DEFAULT 0,
  helpful          bigint  NOT NULL DEFAULT 0,
  unhelpful        bigint  NOT NULL DEFAULT 0,
  outdated         bigint  NOT NULL DEFAULT 0,
  incorrect        bigint  NOT NULL DEFAULT 0,
  PRIMARY KEY (workspace_id, integration_id),
  FOREIGN KEY (workspace_id, integration_id) REFERENCES integration (workspace_id, id) ON DELETE CASCADE
)
"""

CREDENTIAL = """
CREATE TABLE credential (
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  version        bigint      NOT NULL,
  kind           text        NOT NULL CHECK (kind IN ('token', 'oauth', 'none')),
  access_sealed  bytea,
  refresh_sealed bytea,
  expires_at     timestamptz,
  account_id     text        NOT NULL,
  tenant_id      text        NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now(),
  erased_at      timestamptz,
  PRIMARY KEY (workspace_id, integration_id, version),
  FOREIGN KEY (workspace_id, integration_id) REFERENCES integration (workspace_id, id) ON DELETE CASCADE
)
"""

AUDIT = """
CREATE TABLE audit (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor          text        NOT NULL,
  action         text        NOT NULL,
  integration_id text,
  outcome        text        NOT NULL,
  detail         jsonb       NOT NULL
)
"""

IDEMPOTENCY = """
CREATE TABLE idempotency (
  workspace_id text        NOT NULL,
  key          text        NOT NULL,
  claim        text        NOT NULL,
  request_hash text        NOT NULL,
  state        text        NOT NULL CHECK (state IN ('running', 'done')),
  response     bytea,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workspace_id, key)
)
"""

# Written out, not imported from tables.py: what a migration did must not change later.
TENANT = ("workspace", "integration", "observation", "credential", "audit", "idempotency")


def upgrade() -> None:
    for statement in _statements():
        op.execute(statement)


def _statements() -> tuple[str, ...]:
    tables = (WORKSPACE, INTEGRATION, ONE_LIVE_PER_TYPE, OBSERVATION, CREDENTIAL, AUDIT, IDEMPOTENCY)
    return (
        *kernel_tables_v1("auth"),
        *tables,
        "CREATE INDEX integration_listing ON integration (workspace_id, id) WHERE disconnected_at IS NULL",
        "CREATE INDEX audit_of_workspace ON audit (workspace_id, at)",
        "CREATE INDEX idempotency_age ON idempotency (workspace_id, created_at)",
        *(line for table in TENANT for line in tenant_table("auth", table)),
        *locatable("auth", "integration"),
        # An audit log that its own service could rewrite would prove nothing.
        "REVOKE UPDATE, DELETE ON audit FROM auth_app, auth_worker",
    )
