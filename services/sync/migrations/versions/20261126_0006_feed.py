"""What the change feed and explain read."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import queue_table

revision = "20261126_0006"
down_revision = "20261126_0005"
branch_labels = None
depends_on = None

# How far the retained rows of a workspace's feed have lost their beginning: a cursor before it has missed something.
FLOOR = """
CREATE TABLE feed_floor (
  workspace_id text        NOT NULL,
  topic        text        NOT NULL,
  seq          bigint      NOT NULL,
  occurred_at  timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, topic)
)
"""
# In the statement that drops, whoever drops: no reader can meet the gap without the word about it.
NOTE_FLOOR = """
CREATE FUNCTION note_feed_floor() RETURNS trigger LANGUAGE plpgsql SET search_path = sync AS $$
BEGIN
  INSERT INTO feed_floor AS f (workspace_id, topic, seq, occurred_at)
  SELECT workspace_id, topic, max(seq), max(occurred_at) FROM dropped d
  WHERE seq IS NOT NULL AND topic = 'source.changed'
    AND NOT EXISTS (SELECT FROM erased_workspace e WHERE e.workspace_id = d.workspace_id)
  GROUP BY workspace_id, topic ORDER BY workspace_id
  ON CONFLICT (workspace_id, topic) DO UPDATE SET seq = greatest(f.seq, excluded.seq),
    occurred_at = greatest(f.occurred_at, excluded.occurred_at);
  RETURN NULL;
END $$
"""

STATEMENTS: tuple[str, ...] = (
    FLOOR,
    *queue_table("sync", "feed_floor"),
    NOTE_FLOOR,
    "CREATE TRIGGER outbox_floor AFTER DELETE ON outbox REFERENCING OLD TABLE AS dropped"
    " FOR EACH STATEMENT EXECUTE FUNCTION note_feed_floor()",
    # A page of the feed is one range of this index, whatever else the workspace and its neighbours tell.
    "DROP INDEX outbox_workspace_feed",
    "CREATE INDEX outbox_workspace_feed ON outbox (workspace_id, topic, seq) WHERE seq IS NOT NULL",
    # What was told of one thing. Only published rows: neither the insert nor the stamp pays for it.
    "CREATE INDEX outbox_key ON outbox (key) WHERE published_at IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
