"""Summaries become one tree from a section to the workspace, with what of it is to be made anew."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import locatable, queue_table, tenant_table

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# `tree` names the node that it is below by kind (source:S, resource:R, …), `parent_id` the very next one above.
SUMMARY = """
CREATE TABLE summary (
  workspace_id   text        NOT NULL,
  id             text        NOT NULL,
  level          text        NOT NULL,
  tree           text        NOT NULL,
  parent_id      text,
  height         smallint    NOT NULL,
  place          text        COLLATE "C" NOT NULL,
  integration_id text        NOT NULL DEFAULT '',
  resource_id    text        NOT NULL DEFAULT '',
  source_id      text        NOT NULL DEFAULT '',
  title          text        NOT NULL,
  anchor         text        NOT NULL DEFAULT '',
  text           text        NOT NULL,
  method         text        NOT NULL,
  note           text        NOT NULL DEFAULT '',
  input_hash     text        NOT NULL,
  hash           text        NOT NULL,
  chunk_ids      text[]      NOT NULL DEFAULT '{}',
  children       integer     NOT NULL DEFAULT 0,
  stale          boolean     NOT NULL DEFAULT false,
  made_at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id, workspace_id)
)
"""

SUMMARY_CHANGE = """
CREATE TABLE summary_change (
  workspace_id text NOT NULL,
  tree         text NOT NULL,
  item_id      text NOT NULL,
  parent_id    text,
  PRIMARY KEY (tree, item_id, workspace_id)
)
"""

SUMMARY_WANTED = """
CREATE TABLE summary_wanted (
  tree         text        NOT NULL,
  workspace_id text        NOT NULL,
  wanted_at    timestamptz NOT NULL DEFAULT now(),
  due_at       timestamptz NOT NULL,
  leased_until timestamptz NOT NULL DEFAULT '-infinity',
  attempts     integer     NOT NULL DEFAULT 0,
  epoch        bigint      NOT NULL DEFAULT 0,
  PRIMARY KEY (tree, workspace_id)
)
"""

# What an endpoint was paid for: the same input is never sent twice, and a day's tokens are counted before they are.
SUMMARY_PAID = """
CREATE TABLE summary_paid (
  workspace_id text        NOT NULL,
  model        text        NOT NULL,
  input_hash   text        NOT NULL,
  text         text        NOT NULL,
  made_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workspace_id, model, input_hash)
)
"""
SUMMARY_SPENT = """
CREATE TABLE summary_spent (
  workspace_id text   NOT NULL,
  day          date   NOT NULL,
  tokens       bigint NOT NULL,
  PRIMARY KEY (workspace_id, day)
)
"""

INDEXES = (
    "CREATE INDEX summary_tree ON summary (tree, height, place)",
    "CREATE INDEX summary_children ON summary (parent_id, place)",
    "CREATE INDEX summary_stale ON summary (tree, height) WHERE stale",
    "CREATE INDEX summary_integration ON summary (integration_id, level, id)",
    "CREATE INDEX summary_wanted_due ON summary_wanted (workspace_id, due_at)",
)


def upgrade() -> None:
    statements = (
        "DROP TABLE summary",
        SUMMARY,
        *tenant_table("chunker", "summary"),
        *locatable("chunker", "summary"),
        SUMMARY_CHANGE,
        *tenant_table("chunker", "summary_change"),
        SUMMARY_WANTED,
        *queue_table("chunker", "summary_wanted"),
        SUMMARY_PAID,
        *tenant_table("chunker", "summary_paid"),
        SUMMARY_SPENT,
        *tenant_table("chunker", "summary_spent"),
        *INDEXES,
    )
    for statement in statements:
        op.execute(statement)
