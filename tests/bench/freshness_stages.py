"""Where the seconds of a change go, read from the rows that it leaves in each service, and what CPU they cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from libs.local.ledger import read_ledger
from tests.chaos.stack import Stack

STAGES = ("delivered", "relayed", "read", "announced", "indexed")
# By the key that the hook names: seconds since the epoch at which each service was done with a change.
TIMES = """
WITH heard AS (
  SELECT convert_from(payload, 'UTF8')::jsonb #>> '{hints,0,keys,0}' AS key,
    min(occurred_at) AS delivered, min(published_at) AS relayed
  FROM webhooks.outbox WHERE topic = 'webhook.received' GROUP BY 1
), told AS (
  SELECT key AS id, min(occurred_at) AS read, min(published_at) AS announced
  FROM sync.outbox WHERE topic = 'source.changed' GROUP BY 1
), done AS (
  SELECT key AS id, min(occurred_at) AS indexed FROM chunker.outbox WHERE topic = 'source.indexed' GROUP BY 1
)
SELECT s.external_key AS key, extract(epoch FROM delivered)::float8 AS delivered,
  extract(epoch FROM relayed)::float8 AS relayed, extract(epoch FROM read)::float8 AS read,
  extract(epoch FROM announced)::float8 AS announced, extract(epoch FROM indexed)::float8 AS indexed
FROM heard h JOIN sync.source s ON s.external_key = h.key JOIN told USING (id) JOIN done USING (id)
WHERE h.key = ANY($1::text[])
"""


async def tell_stages(stack: Stack, figure: str, made_at: Mapping[str, float]) -> None:
    """`made_at`: when the provider had each change, by its key, in seconds since the epoch."""
    rows = await stack.rows(TIMES, list(made_at))
    for before, stage in zip(("made", *STAGES), STAGES, strict=False):
        since = [row[stage] - (made_at[row["key"]] if before == "made" else row[before]) for row in rows]
        print(f"figure {figure}_{stage} value={np.quantile(since, 0.5):.2f} unit=s"
              f" against=p95_{np.quantile(since, 0.95):.2f} of={len(rows)}", flush=True)  # fmt: skip


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """Of each process of the stack with all that it started, so far."""
    page = read_ledger(stack.state.ledger)
    assert page is not None, "nothing runs"
    pids = {name: entry.identity.pid for name, entry in page.processes.items() if entry.identity and not entry.once}
    parents = {int(found.name): _stat(found) for found in Path("/proc").iterdir() if found.name.isdigit()}
    spent = {pid: ticks / os.sysconf("SC_CLK_TCK") for pid, (_, ticks) in parents.items()}
    return {name: sum(spent[one] for one in _family(pid, parents)) for name, pid in pids.items()}


def tell_cpu(figure: str, before: Mapping[str, float], after: Mapping[str, float], changes: int) -> None:
    """What a change costs does not depend on how busy the machine is otherwise."""
    cost = {name: 1000 * (after[name] - before[name]) / changes for name in after if name in before}
    most = ", ".join(f"{name}_{ms:.1f}" for name, ms in sorted(cost.items(), key=lambda one: -one[1]) if ms >= 0.1)
    print(f"figure {figure}_cpu value={sum(cost.values()):.1f} unit=ms/change against={most}", flush=True)


def _stat(process: Path) -> tuple[int, int]:
    """The parent, and the CPU ticks of it and of its children that ended; nothing of a process that just ended."""
    try:
        fields = (process / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15])


def _family(pid: int, processes: Mapping[int, tuple[int, int]]) -> Sequence[int]:
    children = [one for one, (parent, _) in processes.items() if parent == pid]
    return [*([pid] if pid in processes else []), *(one for child in children for one in _family(child, processes))]
