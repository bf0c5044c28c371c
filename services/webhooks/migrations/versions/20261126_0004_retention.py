"""Deliveries leave after a while; the oldest are found without reading the others."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("CREATE INDEX delivery_age ON delivery (received_at)")
