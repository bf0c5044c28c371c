"""Each resource has its own next look, with the reason for it, and tells how fresh its copy is."""

from __future__ import annotations

from alembic import op

from libs.common.database.policies import queue_table

revision = "20261126_0004"
down_revision = "20261126_0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    "DROP TABLE poll_schedule",
    # A workspace is in one lane, and a claim takes little of each lane. `due_at` is the least of both times; a claim
    # moves it alone, so that a claim whose owner died comes due again. Each claim writes to each index: two are enough,
    # and as it moves an indexed column, room for its new version in the same page would only be cleaned in vain.
    """
CREATE TABLE poll_schedule (
  integration_id text     NOT NULL,
  resource_id    text     NOT NULL,
  workspace_id   text     NOT NULL,
  lane           smallint NOT NULL GENERATED ALWAYS AS (CAST(abs(hashtext(workspace_id) % 64) AS smallint)) STORED,
  version        bigint   NOT NULL DEFAULT 0,
  due_at         timestamptz,
  next_poll_at   timestamptz,
  next_sweep_at  timestamptz,
  every          interval,
  reason         text     NOT NULL DEFAULT '',
  PRIMARY KEY (integration_id, resource_id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0)
""",
    "CREATE INDEX poll_schedule_due ON poll_schedule (lane, due_at) WHERE due_at IS NOT NULL",
    # What looks and deliveries told of a resource. Beside the schedule, so that claims copy no more than they need.
    """
CREATE TABLE resource_watch (
  resource_id    text PRIMARY KEY,
  integration_id text        NOT NULL,
  workspace_id   text        NOT NULL,
  provider       text        NOT NULL,
  looks          smallint    NOT NULL DEFAULT 1,
  requests       integer     NOT NULL DEFAULT 0,
  heard_at       timestamptz,
  untold_at      timestamptz,
  fresh_as_of    timestamptz,
  swept_as_of    timestamptz,
  promised       interval,
  since          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70)
""",
    "CREATE INDEX resource_watch_integration ON resource_watch (integration_id)",
    "ALTER TABLE resource_stream ADD COLUMN look_began_at timestamptz, ADD COLUMN confirmed_at timestamptz,"
    " ADD COLUMN certified_at timestamptz",
    "CREATE INDEX run_recent ON run (integration_id, requested_at)",
    # Before the policies: the owner sees resources and integrations, which are locatable.
    """
INSERT INTO resource_watch (resource_id, integration_id, workspace_id, provider)
SELECT id, integration_id, workspace_id, provider FROM resource WHERE selected
""",
    """
INSERT INTO poll_schedule (resource_id, integration_id, workspace_id, due_at, next_poll_at, next_sweep_at)
SELECT r.id, r.integration_id, r.workspace_id, least(poll_at, sweep_at), poll_at, sweep_at
FROM resource r JOIN known_integration k ON k.id = r.integration_id,
  LATERAL (SELECT k.status = 'active' AND NOT k.disconnected AS works) w,
  LATERAL (SELECT CASE WHEN works AND k.polling_enabled
      THEN now() + k.polling_interval * interval '1 minute' * random() END AS poll_at,
    CASE WHEN works AND (k.polling_enabled OR k.monitor_changes)
      THEN now() + interval '1 day' * random() END AS sweep_at) a
WHERE r.selected
""",
    *queue_table("sync", "poll_schedule"),
    *queue_table("sync", "resource_watch"),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
