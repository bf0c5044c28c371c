"""The whole first schema of sync: its own tables beside the kernel's."""

from __future__ import annotations

from alembic import op

from libs.common.database.kernel_tables import kernel_tables_v1
from libs.common.database.policies import locatable, queue_table, tenant_table

revision = "20261123_0001"
down_revision = None
branch_labels = None
depends_on = None

SERVICE = "sync"

PROJECTIONS = (
    """
CREATE TABLE known_workspace (
  workspace_id text PRIMARY KEY,
  first_seen_at timestamptz NOT NULL DEFAULT now()
)
""",
    """
CREATE TABLE known_integration (
  id               text PRIMARY KEY,
  workspace_id     text        NOT NULL,
  provider         text        NOT NULL,
  version          bigint      NOT NULL,
  name             text        NOT NULL DEFAULT '',
  status           text        NOT NULL,
  config           jsonb       NOT NULL DEFAULT '{}',
  features         text[]      NOT NULL DEFAULT '{}',
  monitor_changes  boolean     NOT NULL DEFAULT false,
  polling_enabled  boolean     NOT NULL DEFAULT false,
  polling_interval integer     NOT NULL DEFAULT 15,
  account_id       text        NOT NULL DEFAULT '',
  account_name     text        NOT NULL DEFAULT '',
  tenant_id        text        NOT NULL DEFAULT '',
  hook_state       text        NOT NULL DEFAULT 'none',
  hook_version     bigint      NOT NULL DEFAULT 0,
  last_delivery_at timestamptz,
  disconnected     boolean     NOT NULL DEFAULT false,
  known_since      timestamptz NOT NULL DEFAULT now()
)
""",
    "CREATE INDEX known_integration_workspace ON known_integration (workspace_id)",
    """
CREATE TABLE observed_state (
  integration_id   text PRIMARY KEY,
  workspace_id     text        NOT NULL,
  version          bigint      NOT NULL DEFAULT 0,
  reported_version bigint      NOT NULL DEFAULT 0,
  last_polled_at   timestamptz,
  change_count     bigint      NOT NULL DEFAULT 0,
  error_count      integer     NOT NULL DEFAULT 0,
  last_error       text,
  last_error_code  text
)
""",
    "CREATE INDEX observed_state_unreported ON observed_state (integration_id) WHERE reported_version < version",
)

RESOURCES = (
    """
CREATE TABLE resource (
  id               text PRIMARY KEY,
  workspace_id     text        NOT NULL,
  integration_id   text        NOT NULL,
  provider         text        NOT NULL,
  external_id      text        NOT NULL,
  kind             text        NOT NULL,
  name             text        NOT NULL,
  url              text        NOT NULL DEFAULT '',
  facts            jsonb       NOT NULL DEFAULT '{}',
  selected         boolean     NOT NULL DEFAULT true,
  version          bigint      NOT NULL,
  state            text        NOT NULL DEFAULT 'idle',
  error_code       text,
  error            text,
  error_count      integer     NOT NULL DEFAULT 0,
  last_polled_at   timestamptz,
  last_complete_at timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  UNIQUE (workspace_id, integration_id, external_id)
)
""",
    """
CREATE TABLE resource_stream (
  resource_id     text        NOT NULL,
  stream          text        NOT NULL,
  workspace_id    text        NOT NULL,
  cursor          jsonb,
  cursor_version  bigint      NOT NULL DEFAULT 0,
  listing         text,
  started_ticket  text        NOT NULL DEFAULT '',
  finished_ticket text        NOT NULL DEFAULT '',
  last_page_at    timestamptz,
  PRIMARY KEY (resource_id, stream)
)
""",
    """
CREATE TABLE listing_seen (
  resource_id  text NOT NULL,
  stream       text NOT NULL,
  key          text COLLATE "C" NOT NULL,
  workspace_id text NOT NULL,
  PRIMARY KEY (resource_id, stream, key)
)
""",
    """
CREATE TABLE validator (
  resource_id  text        NOT NULL,
  url_key      text        NOT NULL,
  workspace_id text        NOT NULL,
  etag         text        NOT NULL,
  PRIMARY KEY (resource_id, url_key)
)
""",
    """
CREATE TABLE quarantined_item (
  resource_id    text        NOT NULL,
  key            text        NOT NULL,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  stream         text        NOT NULL,
  code           text        NOT NULL,
  detail         text        NOT NULL,
  attempts       integer     NOT NULL DEFAULT 1,
  first_seen_at  timestamptz NOT NULL DEFAULT now(),
  last_seen_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (resource_id, key)
)
""",
)

SOURCES = (
    # The key is deferrable so that one statement can swap the keys of two renamed files.
    """
CREATE TABLE source (
  id                  text PRIMARY KEY,
  workspace_id        text        NOT NULL,
  integration_id      text        NOT NULL,
  resource_id         text        NOT NULL,
  provider            text        NOT NULL,
  external_key        text COLLATE "C" NOT NULL,
  type                text        NOT NULL,
  name                text        NOT NULL,
  path                text,
  url                 text        NOT NULL DEFAULT '',
  content             text        NOT NULL DEFAULT '',
  body                text,
  content_type        text        NOT NULL DEFAULT '',
  content_hash        text        NOT NULL DEFAULT '',
  seen_hash           bytea       NOT NULL,
  revision            text        NOT NULL DEFAULT '',
  version             bigint      NOT NULL,
  status              text        NOT NULL DEFAULT 'pending',
  status_detail       text,
  metadata            jsonb       NOT NULL DEFAULT '{}',
  author              text        NOT NULL DEFAULT '',
  provider_updated_at timestamptz,
  seen_at             timestamptz NOT NULL DEFAULT now(),
  tombstone           boolean     NOT NULL DEFAULT false,
  proof               text,
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT source_key UNIQUE (resource_id, external_key) DEFERRABLE INITIALLY IMMEDIATE
)
""",
    "CREATE INDEX source_workspace ON source (workspace_id, id)",
    "CREATE INDEX source_integration ON source (integration_id, id)",
    """
CREATE TABLE source_part (
  resource_id  text        NOT NULL,
  source_key   text COLLATE "C" NOT NULL,
  part_key     text COLLATE "C" NOT NULL,
  workspace_id text        NOT NULL,
  author       text        NOT NULL,
  label        text        NOT NULL,
  created_at   timestamptz NOT NULL,
  url          text        NOT NULL DEFAULT '',
  body         text        NOT NULL,
  hash         bytea       NOT NULL,
  CONSTRAINT source_part_key PRIMARY KEY (resource_id, source_key, part_key) DEFERRABLE INITIALLY IMMEDIATE
)
""",
    """
CREATE TABLE changed_file (
  source_id        text    NOT NULL,
  position         integer NOT NULL,
  workspace_id     text    NOT NULL,
  resource_id      text    NOT NULL,
  path             text    NOT NULL,
  previous_path    text,
  status           text    NOT NULL,
  additions        integer,
  deletions        integer,
  blob_id          text,
  previous_blob_id text,
  patch            text,
  PRIMARY KEY (source_id, position)
)
""",
    "CREATE INDEX changed_file_path ON changed_file (workspace_id, path)",
)

RUNS = (
    """
CREATE TABLE run (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  cause          text        NOT NULL,
  state          text        NOT NULL DEFAULT 'queued',
  discovering    boolean     NOT NULL DEFAULT false,
  revision       bigint      NOT NULL DEFAULT 0,
  error_code     text,
  error          text,
  requested_at   timestamptz NOT NULL DEFAULT now(),
  started_at     timestamptz,
  finished_at    timestamptz
)
""",
    # A request during a run joins it: two active runs of one integration cannot exist.
    "CREATE UNIQUE INDEX run_active ON run (integration_id) WHERE state IN ('queued', 'running')",
    "CREATE INDEX run_integration ON run (integration_id, id)",
    """
CREATE TABLE run_resource (
  run_id       text        NOT NULL,
  resource_id  text        NOT NULL,
  workspace_id text        NOT NULL,
  state        text        NOT NULL DEFAULT 'queued',
  stream       text        NOT NULL DEFAULT '',
  revision     bigint      NOT NULL DEFAULT 0,
  pages        bigint      NOT NULL DEFAULT 0,
  estimate     bigint,
  fetched      bigint      NOT NULL DEFAULT 0,
  created      bigint      NOT NULL DEFAULT 0,
  updated      bigint      NOT NULL DEFAULT 0,
  deleted      bigint      NOT NULL DEFAULT 0,
  unchanged    bigint      NOT NULL DEFAULT 0,
  quarantined  bigint      NOT NULL DEFAULT 0,
  requests     bigint      NOT NULL DEFAULT 0,
  not_modified bigint      NOT NULL DEFAULT 0,
  bytes        bigint      NOT NULL DEFAULT 0,
  attempts     integer     NOT NULL DEFAULT 0,
  parked_until timestamptz,
  error_code   text,
  error        text,
  started_at   timestamptz,
  finished_at  timestamptz,
  PRIMARY KEY (run_id, resource_id)
)
""",
)

# Small hot tables: claims scan only their heads, so dead rows must go quickly.
HOT = "WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 200)"
LEASE = """
  run_at       timestamptz NOT NULL DEFAULT now(),
  attempts     integer     NOT NULL DEFAULT 0,
  owner        text,
  epoch        bigint      NOT NULL DEFAULT 0,
  lease_until  timestamptz NOT NULL DEFAULT '-infinity',
  traceparent  text
"""

QUEUES = (
    # One sequence for all leases: an epoch is never given twice, also when a row was deleted and made again.
    "CREATE SEQUENCE lease_epoch",
    f"""
CREATE TABLE work (
  resource_id    text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  kind           text        NOT NULL,
  cause          text        NOT NULL,
  ticket         text        NOT NULL,
  run_id         text,
  streams        text[],
  again_streams  text[],
  again_cause    text,
  again_run_id   text,
  priority       integer     NOT NULL DEFAULT 0,
  paused         boolean     NOT NULL DEFAULT false,
  parked_until   timestamptz,
  {LEASE}
) {HOT}
""",
    "CREATE INDEX work_due ON work (priority, run_at) WHERE NOT paused",
    "CREATE INDEX work_workspace ON work (workspace_id)",
    "CREATE INDEX work_integration ON work (integration_id)",
    f"""
CREATE TABLE dirty_object (
  resource_id    text        NOT NULL,
  key            text        NOT NULL,
  workspace_id   text        NOT NULL,
  integration_id text        NOT NULL,
  stream         text        NOT NULL,
  wanted         bigint      NOT NULL,
  paused         boolean     NOT NULL DEFAULT false,
  {LEASE},
  PRIMARY KEY (resource_id, key)
) {HOT}
""",
    "CREATE INDEX dirty_object_due ON dirty_object (run_at) WHERE NOT paused",
    "CREATE INDEX dirty_object_integration ON dirty_object (integration_id)",
    f"""
CREATE TABLE discovery (
  integration_id text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  resources      text[]      NOT NULL,
  run_id         text        NOT NULL,
  paused         boolean     NOT NULL DEFAULT false,
  {LEASE}
) {HOT}
""",
    "CREATE INDEX discovery_due ON discovery (run_at) WHERE NOT paused",
    f"""
CREATE TABLE cleanup (
  id             text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  kind           text        NOT NULL,
  integration_id text        NOT NULL DEFAULT '',
  resource_id    text        NOT NULL DEFAULT '',
  types          text[],
  {LEASE}
) {HOT}
""",
    "CREATE INDEX cleanup_due ON cleanup (run_at)",
    f"""
CREATE TABLE poll_schedule (
  integration_id text PRIMARY KEY,
  workspace_id   text        NOT NULL,
  next_poll_at   timestamptz NOT NULL,
  minutes        integer     NOT NULL
) {HOT}
""",
    "CREATE INDEX poll_schedule_due ON poll_schedule (next_poll_at)",
)

TENANT_TABLES = (
    "known_workspace",
    "known_integration",
    "resource",
    "resource_stream",
    "listing_seen",
    "validator",
    "quarantined_item",
    "source",
    "source_part",
    "changed_file",
    "run",
    "run_resource",
)
QUEUE_TABLES = ("observed_state", "work", "dirty_object", "discovery", "cleanup", "poll_schedule")
LOCATABLE = ("known_integration", "resource", "source", "run")


def upgrade() -> None:
    statements = [*kernel_tables_v1(SERVICE), *PROJECTIONS, *RESOURCES, *SOURCES, *RUNS, *QUEUES]
    for table in TENANT_TABLES:
        statements += tenant_table(SERVICE, table)
    for table in QUEUE_TABLES:
        statements += queue_table(SERVICE, table)
    for table in LOCATABLE:
        statements += locatable(SERVICE, table)
    for statement in statements:
        op.execute(statement)
