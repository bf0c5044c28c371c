"""What the apply path needs to write in bulk."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import filtered_table

revision = "20261126_0007"
down_revision = "20261126_0006"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (*filtered_table("source"), *filtered_table("changed_file"))


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
