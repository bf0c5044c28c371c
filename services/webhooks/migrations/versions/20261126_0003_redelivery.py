"""Deliveries that the provider could not deliver are looked for per hook, and each is asked for again a few times."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import tenant_table

revision = "0003"
down_revision = "0002"

# Up to `looked_at` everything that failed is known; `look_again_at` is set while a look is not possible.
COLUMNS = """
ALTER TABLE subscription
  ADD COLUMN looked_at     timestamptz,
  ADD COLUMN look_again_at timestamptz,
  ADD COLUMN look_code     text NOT NULL DEFAULT '',
  ADD COLUMN look_detail   text NOT NULL DEFAULT ''
"""
INDEX = "CREATE INDEX subscription_looks ON subscription (looked_at NULLS FIRST) WHERE wanted AND state = 'active'"

# `attempt` is the newest that failed, `asked_attempt` the one that was last asked for again.
MISSED = """
CREATE TABLE missed_delivery (
  workspace_id    text        NOT NULL,
  integration_id  text        NOT NULL,
  subscription_id text        NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
  delivery_key    text        NOT NULL,
  attempt         text        NOT NULL,
  failed_at       timestamptz NOT NULL,
  asked           integer     NOT NULL DEFAULT 0,
  asked_attempt   text,
  asked_at        timestamptz,
  PRIMARY KEY (subscription_id, delivery_key)
)
"""
OLDEST = "CREATE INDEX missed_delivery_oldest ON missed_delivery (integration_id, failed_at)"


def upgrade() -> None:
    for statement in (COLUMNS, INDEX, MISSED, OLDEST, *tenant_table("webhooks", "missed_delivery")):
        op.execute(statement)
