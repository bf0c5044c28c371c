"""The tables that every service has in its own schema, as frozen SQL for its first migration."""

from __future__ import annotations

from libs.common.database.policies import queue_table, tenant_table

# The index of what waits keeps a place for what has gone until a vacuum: a poll during a long backlog walks over those.
OUTBOX = """
CREATE TABLE outbox (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id     text        NOT NULL,
  workspace_id text        NOT NULL,
  topic        text        NOT NULL,
  key          text        NOT NULL,
  payload      bytea       NOT NULL,
  occurred_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  traceparent  text,
  seq          bigint,
  cluster_id   text,
  kafka_partition integer,
  kafka_offset bigint,
  published_at timestamptz
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 1
)
"""

# The relay reads only this index: published rows leave it, so it stays as small as the backlog.
OUTBOX_INDEXES = (
    "CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL",
    "CREATE UNIQUE INDEX outbox_feed ON outbox (seq) WHERE seq IS NOT NULL",
    "CREATE INDEX outbox_workspace_feed ON outbox (workspace_id, seq) WHERE seq IS NOT NULL",
    "CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL",
)

RELAY = """
CREATE TABLE relay (
  name         text PRIMARY KEY,
  owner        text,
  epoch        bigint      NOT NULL DEFAULT 0,
  lease_until  timestamptz NOT NULL DEFAULT '-infinity',
  last_seq     bigint      NOT NULL DEFAULT 0
)
"""

# How far the relay knows each log: one with another id, or an end that is not beyond `last_offset`, lost its memory.
RELAY_LOG = """
CREATE TABLE relay_log (
  topic           text    NOT NULL,
  kafka_partition integer NOT NULL,
  log_id          text    NOT NULL,
  last_offset     bigint  NOT NULL,
  PRIMARY KEY (topic, kafka_partition)
)
"""

DEAD_LETTER = """
CREATE TABLE dead_letter (
  id              text PRIMARY KEY,
  workspace_id    text        NOT NULL DEFAULT '',
  consumer        text        NOT NULL,
  topic           text        NOT NULL,
  kafka_partition integer     NOT NULL,
  kafka_offset    bigint      NOT NULL,
  cluster_id      text        NOT NULL DEFAULT '',
  key             bytea,
  headers         jsonb       NOT NULL,
  body            bytea,
  error_code      text        NOT NULL,
  error           text        NOT NULL,
  attempts        integer     NOT NULL,
  parked_at       timestamptz NOT NULL DEFAULT now(),
  replay_asked_at timestamptz,
  replayed_at     timestamptz
)
"""

JOB = """
CREATE TABLE job (
  id           text PRIMARY KEY,
  workspace_id text        NOT NULL,
  kind         text        NOT NULL,
  dedupe_key   text        NOT NULL,
  payload      jsonb       NOT NULL,
  run_at       timestamptz NOT NULL,
  asked        bigint      NOT NULL DEFAULT 1,
  attempts     integer     NOT NULL DEFAULT 0,
  owner        text,
  epoch        bigint      NOT NULL DEFAULT 0,
  lease_until  timestamptz,
  last_error   text,
  created_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE (workspace_id, kind, dedupe_key)
)
"""

DATA_KEY = """
CREATE TABLE data_key (
  workspace_id text        NOT NULL,
  id           text        NOT NULL,
  kek_id       text        NOT NULL,
  wrapped      bytea       NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (workspace_id, id)
)
"""

ERASED = """
CREATE TABLE erased_workspace (
  workspace_id text PRIMARY KEY,
  erased_at    timestamptz NOT NULL DEFAULT now()
)
"""


def kernel_tables_v1(service: str) -> tuple[str, ...]:
    """Frozen: a later change of a kernel table is a v2 step in a new migration of each service."""
    return (
        OUTBOX,
        *OUTBOX_INDEXES,
        *queue_table(service, "outbox"),
        RELAY,
        "INSERT INTO relay (name) VALUES ('outbox')",
        RELAY_LOG,
        DEAD_LETTER,
        "CREATE INDEX dead_letter_open ON dead_letter (parked_at) WHERE replayed_at IS NULL",
        *queue_table(service, "dead_letter"),
        JOB,
        "CREATE INDEX job_due ON job (run_at)",
        *queue_table(service, "job"),
        DATA_KEY,
        *tenant_table(service, "data_key"),
        ERASED,
        *queue_table(service, "erased_workspace"),
    )
