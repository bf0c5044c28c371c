"""Vectors apart from the wide rows, a generation of them for each model, and what is still to be embedded.

A generation's index covers its own rows alone, so it is made and dropped with it. The roles that serve own no table:
the three steps of a generation's life that need the owner are functions, and do nothing else.
"""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import filtered_table, queue_table, tenant_table

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GENERATION = """
CREATE TABLE embedding_generation (
  id           smallint    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text        NOT NULL,
  dimension    integer     NOT NULL CHECK (dimension BETWEEN 1 AND 3840),
  state        text        NOT NULL CHECK (state IN ('building', 'active', 'retired')),
  created_at   timestamptz NOT NULL DEFAULT now(),
  activated_at timestamptz,
  retired_at   timestamptz
)
"""

# A vector without numbers is of a text that the model refuses. PLAIN: read as it lies, never from a side table.
VECTOR = """
CREATE TABLE chunk_vector (
  workspace_id text     NOT NULL,
  source_id    text     NOT NULL,
  chunk_pk     bigint   NOT NULL REFERENCES chunk (pk) ON DELETE CASCADE,
  generation   smallint NOT NULL REFERENCES embedding_generation (id),
  embedding    halfvec,
  PRIMARY KEY (chunk_pk, generation)
)
"""

EMBED_WANTED = """
CREATE TABLE embed_wanted (
  source_id    text        NOT NULL,
  generation   smallint    NOT NULL REFERENCES embedding_generation (id),
  workspace_id text        NOT NULL,
  wanted_at    timestamptz NOT NULL DEFAULT now(),
  due_at       timestamptz NOT NULL DEFAULT now(),
  attempts     integer     NOT NULL DEFAULT 0,
  epoch        bigint      NOT NULL DEFAULT 0,
  PRIMARY KEY (source_id, generation)
)
"""

# Whoever swaps a source holds the lock shared (repository/embedding_queue.py): none of them misses a new generation.
BEGIN_GENERATION = """
CREATE FUNCTION begin_generation(new_name text, new_dimension integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = chunker, public AS $$
DECLARE made smallint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('chunker.generation'));
  IF EXISTS (SELECT FROM embedding_generation WHERE name = new_name AND state <> 'retired') THEN
    RETURN;
  END IF;
  INSERT INTO embedding_generation (name, dimension, state)
  VALUES (new_name, new_dimension,
    CASE WHEN EXISTS (SELECT FROM embedding_generation WHERE state = 'active') THEN 'building' ELSE 'active' END)
  RETURNING id INTO made;
  EXECUTE format('CREATE INDEX chunk_vector_nearest_%s ON chunk_vector '
    'USING hnsw ((CAST(embedding AS halfvec(%s))) halfvec_ip_ops) WHERE generation = %s', made, new_dimension, made);
  INSERT INTO embed_wanted (source_id, generation, workspace_id)
  SELECT id, made, workspace_id FROM indexed_source WHERE chunks > 0;
END $$
"""

# The index goes first: rows leave it one by one otherwise.
DROP_RETIRED = """
CREATE FUNCTION drop_retired_vectors(most integer, after interval) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = chunker, public AS $$
DECLARE gone smallint; dropped integer;
BEGIN
  SELECT id INTO gone FROM embedding_generation
  WHERE state = 'retired' AND retired_at < now() - after ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF gone IS NULL THEN
    RETURN 0;
  END IF;
  EXECUTE format('DROP INDEX IF EXISTS chunk_vector_nearest_%s', gone);
  DELETE FROM embed_wanted WHERE generation = gone;
  DELETE FROM chunk_vector WHERE ctid = ANY(ARRAY(SELECT ctid FROM chunk_vector WHERE generation = gone LIMIT most));
  GET DIAGNOSTICS dropped = ROW_COUNT;
  IF dropped = 0 THEN
    DELETE FROM embedding_generation WHERE id = gone;
    RETURN 1;
  END IF;
  RETURN dropped;
END $$
"""

OWNED = (
    "CREATE POLICY chunk_vector_retired ON chunk_vector TO chunker_owner "
    "USING (EXISTS (SELECT FROM embedding_generation g WHERE g.id = generation AND g.state = 'retired'))",
    "CREATE POLICY embed_wanted_owner ON embed_wanted TO chunker_owner USING (true) WITH CHECK (true)",
    "REVOKE ALL ON FUNCTION begin_generation(text, integer), drop_retired_vectors(integer, interval) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION begin_generation(text, integer), drop_retired_vectors(integer, interval) "
    "TO chunker_worker",
    "REVOKE INSERT, DELETE ON embedding_generation FROM chunker_app, chunker_worker",
    "REVOKE UPDATE ON embedding_generation FROM chunker_app",
)

INDEXES = (
    "CREATE UNIQUE INDEX embedding_generation_active ON embedding_generation (state) WHERE state = 'active'",
    "CREATE UNIQUE INDEX embedding_generation_name ON embedding_generation (name) WHERE state <> 'retired'",
    "CREATE INDEX chunk_vector_workspace ON chunk_vector (workspace_id, generation)",
    "CREATE INDEX chunk_vector_source ON chunk_vector (source_id, generation)",
    "CREATE INDEX embed_wanted_due ON embed_wanted (generation, workspace_id, due_at)",
)


def upgrade() -> None:
    statements = (
        GENERATION,
        VECTOR,
        "ALTER TABLE chunk_vector ALTER COLUMN embedding SET STORAGE PLAIN",
        *tenant_table("chunker", "chunk_vector"),
        *filtered_table("chunk_vector"),
        EMBED_WANTED,
        *queue_table("chunker", "embed_wanted"),
        *INDEXES,
        BEGIN_GENERATION,
        DROP_RETIRED,
        *OWNED,
    )
    for statement in statements:
        op.execute(statement)
