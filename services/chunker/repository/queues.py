"""How wanted work is claimed, by lease and fairly between workspaces: one statement for every queue of this service."""

from __future__ import annotations

# Walks from one workspace to the next by index, takes the first few of each that nobody holds, and of those every
# workspace's first, then every workspace's second: a large backfill cannot starve a small one. Where more workspaces
# wait than a claim takes rows, chance chooses: by age, those that came first would be served to their end before any
# other. Whoever comes at the same time takes others. The lock leaves FOR KEY SHARE to those who want the same thing
# meanwhile.
CLAIM = """
WITH RECURSIVE workspaces AS (
  (SELECT w.workspace_id FROM {table} w WHERE {among} ORDER BY w.workspace_id LIMIT 1)
  UNION ALL
  SELECT (SELECT w.workspace_id FROM {table} w WHERE {among} AND w.workspace_id > s.workspace_id
          ORDER BY w.workspace_id LIMIT 1)
  FROM workspaces s WHERE s.workspace_id IS NOT NULL
), candidates AS (
  SELECT {key_of_c}, row_number() OVER (PARTITION BY s.workspace_id ORDER BY {first}) AS turn
  FROM workspaces s CROSS JOIN LATERAL (
    SELECT w.* FROM {table} w
    WHERE {among} AND w.workspace_id = s.workspace_id AND {free} ORDER BY {first} LIMIT :limit
  ) c
), chosen AS (
  SELECT {key_of_w} FROM {table} w JOIN candidates c USING ({key})
  WHERE {free} ORDER BY c.turn, random() LIMIT :limit FOR NO KEY UPDATE OF w SKIP LOCKED
)
UPDATE {table} w SET epoch = w.epoch + 1, {held_until} = now() + make_interval(secs => :lease_s){also}
FROM chosen WHERE ({key_of_w}) = ({key_of_chosen})
RETURNING {told}
"""


def fair_claim(
    table: str,
    told: str,
    *,
    key: tuple[str, ...] = ("source_id",),
    among: str = "true",
    first: str = "due_at",
    held_until: str = "due_at",
    also: str = "",
) -> str:
    """The statement; it takes `limit` and `lease_s`.

    `told`: what a claim answers of each row. `key`: what makes a row. `among`: rows that are a queue of their own.
    `first`: which of a workspace come first. `held_until`: until when a row is somebody's; where that is not when it
    is due, it is due and held apart. `also`: what a claim sets besides.
    """
    free = "due_at <= now()" if held_until == "due_at" else f"due_at <= now() AND {held_until} <= now()"
    keys = {f"key_of_{row}": ", ".join(f"{row}.{name}" for name in key) for row in ("w", "c", "chosen")}
    return CLAIM.format(
        table=table,
        told=told,
        key=", ".join(key),
        among=among,
        free=free,
        first=first,
        held_until=held_until,
        also=also and f", {also}",
        **keys,
    )
