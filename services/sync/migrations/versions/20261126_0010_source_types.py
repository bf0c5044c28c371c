"""A rare type of sources is found by its index; whose account an integration is, auth tells with each token."""

from __future__ import annotations

from alembic import op

revision = "20261126_0010"
down_revision = "20261126_0008"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    "CREATE INDEX source_type ON source (workspace_id, type, id)",
    "ALTER TABLE known_integration DROP COLUMN account_id, DROP COLUMN account_name, DROP COLUMN tenant_id",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
