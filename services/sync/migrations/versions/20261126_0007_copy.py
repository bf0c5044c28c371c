"""What the apply path needs to write in bulk."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import filtered_table

revision = "20261126_0007"
down_revision = "20261126_0006"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    *filtered_table("source"),
    *filtered_table("changed_file"),
    # The address below which sources still stand, and how far the batches that move them have come.
    "ALTER TABLE cleanup ADD COLUMN old_url text, ADD COLUMN cause text,"
    " ADD COLUMN done_key text COLLATE \"C\" NOT NULL DEFAULT '',"
    " ADD COLUMN asked_at timestamptz NOT NULL DEFAULT now()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
