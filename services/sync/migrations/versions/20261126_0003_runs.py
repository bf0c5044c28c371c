"""Runs that park, join and wait; resources with a window and an error of their own."""

from __future__ import annotations

from alembic import op

revision = "20261126_0003"
down_revision = "20261125_0002"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
