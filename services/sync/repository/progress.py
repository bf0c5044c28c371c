"""What a committed page leaves behind it: where its stream goes on, what the run counts, what the integration shows."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from libs.common.database.transaction import Transaction
from services.sync.repository import integrations, resources, runs
from services.sync.repository.runs import Counts

# One round trip. The run's row is locked before the integration's, as everywhere; the cursor is the resource's own, and
# who writes it holds the resource.
COUNTED = f"""
counted AS ({runs.ADD_PAGE} RETURNING revision),
told AS MATERIALIZED (SELECT count(*) FROM counted)
{integrations.touch_from("FROM told WHERE CAST(:changes AS bigint) > 0")}
"""
NOTE = f"WITH {COUNTED}"
SAVE = f"WITH saved AS ({resources.SAVE_CURSOR}), {COUNTED}"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """`seen` items of a stream that holds `estimate` of them, as far as its provider says."""

    run_id: str | None
    integration_id: str
    resource_id: str
    stream: str
    counts: Counts
    changes: int
    seen: int = 0
    estimate: int | None = None


async def note(tx: Transaction, progress: Progress) -> None:
    """Of objects before their page."""
    await tx.execute(NOTE, **_told(tx, progress))


async def save(tx: Transaction, progress: Progress, saved: resources.Saved) -> None:
    """Of a whole page, with the place where its stream goes on."""
    await tx.execute(SAVE, **_told(tx, progress), **resources.cursor_of(saved))


def _told(tx: Transaction, progress: Progress) -> Mapping[str, object]:
    return {
        "run": progress.run_id, "resource": progress.resource_id, "integration": progress.integration_id,
        "workspace": tx.workspace, "stream": progress.stream, "seen": progress.seen, "estimate": progress.estimate,
        "changes": progress.changes, "polled": False, **msgspec.structs.asdict(progress.counts),
    }  # fmt: skip
