"""Sweeps, deletions that are held for approval, and items to try again."""

from __future__ import annotations

from alembic import op

revision = "20261126_0005"
down_revision = "20261126_0004"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
