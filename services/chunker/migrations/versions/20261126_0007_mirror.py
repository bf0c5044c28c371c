"""What a second index has been told of: the mirror that lives, what it holds of each source, what it must be told."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import queue_table, tenant_table

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# One lives: filling until it holds every source, then whole. What is ended waits to be dropped in the engine.
MIRROR = """
CREATE TABLE mirror (
  id       text        PRIMARY KEY,
  state    text        NOT NULL CHECK (state IN ('filling', 'whole', 'ended')),
  began_at timestamptz NOT NULL DEFAULT now()
)
"""

# A row with `erase` is of a whole workspace. `fill`: the mirror is not whole before this one is done.
MIRROR_WANTED = """
CREATE TABLE mirror_wanted (
  source_id    text        PRIMARY KEY,
  workspace_id text        NOT NULL,
  fill         boolean     NOT NULL DEFAULT false,
  erase        boolean     NOT NULL DEFAULT false,
  wanted_at    timestamptz NOT NULL DEFAULT now(),
  due_at       timestamptz NOT NULL DEFAULT now(),
  attempts     integer     NOT NULL DEFAULT 0,
  epoch        bigint      NOT NULL DEFAULT 0
)
"""

# `pks`: the chunks that the engine may hold. Written before it is told, so that nothing is left there unknown.
MIRRORED = """
CREATE TABLE mirrored (
  source_id    text     PRIMARY KEY,
  workspace_id text     NOT NULL,
  pks          bigint[] NOT NULL
)
"""

# Whoever changes a source holds the lock shared (repository/mirror.py): none of them misses a new mirror.
BEGIN_MIRROR = """
CREATE FUNCTION begin_mirror(new_id text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = chunker, public AS $$
BEGIN
  PERFORM end_mirror();
  INSERT INTO mirror (id, state) VALUES (new_id, 'filling');
  INSERT INTO mirror_wanted (source_id, workspace_id, fill) SELECT id, workspace_id, true FROM indexed_source;
END $$
"""
END_MIRROR = """
CREATE FUNCTION end_mirror() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = chunker, public AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('chunker.mirror'));
  UPDATE mirror SET state = 'ended' WHERE state <> 'ended';
  DELETE FROM mirror_wanted WHERE NOT erase;
  DELETE FROM mirrored;
END $$
"""

OWNED = (
    "CREATE POLICY mirror_wanted_owner ON mirror_wanted TO chunker_owner USING (true) WITH CHECK (true)",
    "CREATE POLICY mirrored_owner ON mirrored TO chunker_owner USING (true) WITH CHECK (true)",
    "REVOKE ALL ON FUNCTION begin_mirror(text), end_mirror() FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION begin_mirror(text), end_mirror() TO chunker_worker",
    "REVOKE INSERT ON mirror FROM chunker_app, chunker_worker",
    "REVOKE UPDATE, DELETE ON mirror FROM chunker_app",
)

INDEXES = (
    "CREATE UNIQUE INDEX mirror_living ON mirror ((true)) WHERE state <> 'ended'",
    "CREATE INDEX mirror_wanted_due ON mirror_wanted (workspace_id, due_at)",
    "CREATE INDEX mirror_wanted_fill ON mirror_wanted (source_id) WHERE fill",
)


def upgrade() -> None:
    statements = (
        MIRROR,
        MIRROR_WANTED,
        *queue_table("chunker", "mirror_wanted"),
        MIRRORED,
        *tenant_table("chunker", "mirrored"),
        *INDEXES,
        END_MIRROR,
        BEGIN_MIRROR,
        *OWNED,
    )
    for statement in statements:
        op.execute(statement)
