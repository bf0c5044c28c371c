"""The first schema of webhooks: endpoints, deliveries, subscriptions."""

from __future__ import annotations

from alembic import op

from libs.common.database.kernel_tables import kernel_tables_v1
from libs.common.database.policies import locatable, queue_table, tenant_table

revision = "0001"
down_revision = None

KNOWN_WORKSPACE = """
CREATE TABLE known_workspace (
  workspace_id text PRIMARY KEY,
  known_at     timestamptz NOT NULL DEFAULT now()
)
"""

INTEGRATION = """
CREATE TABLE integration (
  id               text PRIMARY KEY,
  workspace_id     text        NOT NULL,
  provider         text        NOT NULL,
  version          bigint      NOT NULL,
  connected        boolean     NOT NULL,
  monitor_changes  boolean     NOT NULL,
  reported_version bigint      NOT NULL DEFAULT 0,
  reported         jsonb       NOT NULL DEFAULT '{"state": "none"}',
  UNIQUE (workspace_id, id)
)
"""

# No foreign key to integration: sync and auth are heard in no common order.
RESOURCE = """
CREATE TABLE resource (
  id             text PRIMARY KEY,
  workspace_id   text    NOT NULL,
  integration_id text    NOT NULL,
  kind           text    NOT NULL,
  external_id    text    NOT NULL,
  name           text    NOT NULL,
  url            text    NOT NULL,
  version        bigint  NOT NULL,
  selected       boolean NOT NULL,
  UNIQUE (workspace_id, id)
)
"""

ENDPOINT = """
CREATE TABLE endpoint (
  id                text PRIMARY KEY,
  workspace_id      text        NOT NULL,
  integration_id    text        NOT NULL,
  provider          text        NOT NULL,
  scheme            text        NOT NULL,
  secret_version    bigint      NOT NULL,
  secret_sealed     bytea       NOT NULL,
  secret_shown_at   timestamptz,
  previous_version  bigint,
  previous_sealed   bytea,
  previous_until    timestamptz,
  created_at        timestamptz NOT NULL DEFAULT now(),
  revoked_at        timestamptz,
  UNIQUE (workspace_id, id),
  UNIQUE (workspace_id, integration_id),
  FOREIGN KEY (workspace_id, integration_id) REFERENCES integration (workspace_id, id) ON DELETE CASCADE
)
"""

# The foreign key locks the endpoint while a delivery is stored, so that an erasure cannot run past it.
DELIVERY = """
CREATE TABLE delivery (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  endpoint_id    text        NOT NULL,
  integration_id text        NOT NULL,
  provider       text        NOT NULL,
  delivery_key   text        NOT NULL,
  event          text        NOT NULL,
  outcome        text        NOT NULL CHECK (outcome IN ('handled', 'ignored', 'unknown')),
  reason         text        NOT NULL,
  body           bytea       NOT NULL,
  body_hash      bytea       NOT NULL,
  headers        jsonb       NOT NULL,
  received_at    timestamptz NOT NULL,
  traceparent    text,
  replayed       integer     NOT NULL DEFAULT 0,
  replayed_at    timestamptz,
  UNIQUE (endpoint_id, delivery_key),
  FOREIGN KEY (workspace_id, endpoint_id) REFERENCES endpoint (workspace_id, id) ON DELETE CASCADE
)
"""

SUBSCRIPTION = """
CREATE TABLE subscription (
  id               text PRIMARY KEY,
  workspace_id     text        NOT NULL,
  integration_id   text        NOT NULL,
  resource_id      text        NOT NULL,
  wanted           boolean     NOT NULL,
  state            text        NOT NULL CHECK (state IN ('registering', 'active', 'removing', 'removed', 'failing')),
  hook_id          text,
  secret_version   bigint,
  expires_at       timestamptz,
  code             text        NOT NULL DEFAULT '',
  detail           text        NOT NULL DEFAULT '',
  updated_at       timestamptz NOT NULL DEFAULT now(),
  UNIQUE (workspace_id, resource_id),
  FOREIGN KEY (workspace_id, integration_id) REFERENCES integration (workspace_id, id) ON DELETE CASCADE,
  FOREIGN KEY (workspace_id, resource_id) REFERENCES resource (workspace_id, id) ON DELETE CASCADE
)
"""

INDEXES = (
    # Compressing 10 KB of JSON costs Postgres more than writing it (44 % of its CPU in our measurement).
    "ALTER TABLE delivery ALTER COLUMN body SET STORAGE EXTERNAL",
    # A replay has the same bytes under a new id. An ignored one must never stand in the way of a handled one:
    # the event's name is not part of what some providers sign.
    "CREATE UNIQUE INDEX delivery_body ON delivery (endpoint_id, body_hash) WHERE outcome = 'handled'",
    "CREATE INDEX delivery_listing ON delivery (workspace_id, integration_id, id)",
    "CREATE INDEX resource_of_integration ON resource (workspace_id, integration_id)",
    "CREATE INDEX subscription_of_integration ON subscription (workspace_id, integration_id, id)",
)

# Written out, not imported from tables.py: what a migration did must not change later.
TENANT = ("known_workspace", "integration", "resource", "endpoint", "subscription")


def upgrade() -> None:
    for statement in _statements():
        op.execute(statement)


def _statements() -> tuple[str, ...]:
    return (
        *kernel_tables_v1("webhooks"),
        *(KNOWN_WORKSPACE, INTEGRATION, RESOURCE, ENDPOINT, DELIVERY, SUBSCRIPTION, *INDEXES),
        *(line for table in TENANT for line in tenant_table("webhooks", table)),
        *queue_table("webhooks", "delivery"),
        *(line for table in ("integration", "endpoint", "delivery") for line in locatable("webhooks", table)),
    )
