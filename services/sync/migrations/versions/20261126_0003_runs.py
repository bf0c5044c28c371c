"""Runs that park, join and wait; resources with a window and an error of their own."""

from __future__ import annotations

from alembic import op

revision = "20261126_0003"
down_revision = "20261125_0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    # A parked run is active: a request joins it.
    "DROP INDEX run_active",
    "CREATE UNIQUE INDEX run_active ON run (integration_id) WHERE state IN ('queued', 'running', 'parked')",
    "ALTER TABLE run ADD COLUMN parked_until timestamptz",
    # `seen`: items of all pages; `seen_before`: those before the stream under way, whose own estimate comes on top.
    """
ALTER TABLE run_resource ADD COLUMN waits integer NOT NULL DEFAULT 0,
  ADD COLUMN waited double precision NOT NULL DEFAULT 0, ADD COLUMN waiting_since timestamptz,
  ADD COLUMN seen bigint NOT NULL DEFAULT 0, ADD COLUMN seen_before bigint NOT NULL DEFAULT 0
""",
    # The window of a backfill; `since_own`: set for this resource, so that the integration's does not move it.
    "ALTER TABLE resource ADD COLUMN since timestamptz, ADD COLUMN since_own boolean NOT NULL DEFAULT false",
    "CREATE INDEX dirty_object_owner ON dirty_object (owner) WHERE owner IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
