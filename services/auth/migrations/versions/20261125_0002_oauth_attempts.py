"""Attempts to connect by OAuth."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import locatable, tenant_table

revision = "0002"
down_revision = "0001"

ATTEMPT = """
CREATE TABLE oauth_attempt (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL REFERENCES workspace (workspace_id) ON DELETE CASCADE,
  provider       text        NOT NULL,
  principal      text        NOT NULL,
  subject        text        NOT NULL,
  ctx            text        NOT NULL,
  callback       text        NOT NULL CHECK (callback IN ('sluice', 'application')),
  redirect_uri   text        NOT NULL,
  redirect_url   text        NOT NULL,
  origin         text        NOT NULL,
  asked          bytea       NOT NULL,
  reconnect      boolean     NOT NULL,
  integration_id text,
  state          text        NOT NULL CHECK (state IN ('pending', 'connected', 'denied', 'failed', 'expired')),
  code           text,
  detail         text,
  ticket         text,
  parked_at      timestamptz,
  claimed_at     timestamptz,
  created_at     timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL
)
"""


def upgrade() -> None:
    for statement in (
        ATTEMPT,
        "CREATE INDEX oauth_attempt_age ON oauth_attempt (workspace_id, created_at)",
        *tenant_table("auth", "oauth_attempt"),
        *locatable("auth", "oauth_attempt"),
    ):
        op.execute(statement)
