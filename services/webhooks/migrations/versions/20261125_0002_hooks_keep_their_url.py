"""A hook remembers the public address it was made for and when it was last seen to stand; workers look for due ones."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

# Hooks from before this have neither: they are asserted at the first look.
COLUMNS = """
ALTER TABLE subscription
  ADD COLUMN public_url  text NOT NULL DEFAULT '',
  ADD COLUMN asserted_at timestamptz
"""
POLICY = "CREATE POLICY subscription_worker ON subscription FOR SELECT TO webhooks_worker USING (true)"
INDEX = "CREATE INDEX subscription_review ON subscription (asserted_at NULLS FIRST) WHERE wanted AND state = 'active'"


def upgrade() -> None:
    for statement in (COLUMNS, POLICY, INDEX):
        op.execute(statement)
