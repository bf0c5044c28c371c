"""What was told of one source is found by its id: explain asks when it was indexed last, or why it could not be."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Only published rows: neither the insert nor the stamp pays for it.
    op.execute("CREATE INDEX outbox_key ON outbox (key) WHERE published_at IS NOT NULL")
