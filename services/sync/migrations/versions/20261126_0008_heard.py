"""Deliveries that were heard, so that one which is told again changes nothing."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import tenant_table

revision = "20261126_0008"
down_revision = "20261126_0007"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # One index for all: whether it is known, what is oldest of an integration, and what goes with it or its workspace.
    """
CREATE TABLE heard_delivery (
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  delivery_id    text        NOT NULL,
  received_at    timestamptz NOT NULL,
  heard_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workspace_id, integration_id, delivery_id, received_at)
)
""",
    *tenant_table("sync", "heard_delivery"),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
