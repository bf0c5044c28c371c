"""Which trees are to be made anew: one row a tree, due after it settled, claimed by lease."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.errors import LeaseLost
from services.chunker.domain.summaries import BUDGET_USED_UP, SETTLES_S, WantedTree, level_of, retry_seconds
from services.chunker.repository.queues import fair_claim

WANT = """
INSERT INTO summary_wanted (tree, workspace_id, due_at)
VALUES (:tree, :workspace_id, now() + make_interval(secs => :seconds)) ON CONFLICT (tree, workspace_id) DO NOTHING
"""
# What waits for longer than it takes to settle (a budget, an endpoint) is due with what changes now.
SOONER = """
UPDATE summary_wanted SET due_at = now() + make_interval(secs => :seconds)
WHERE tree = :tree AND due_at > now() + make_interval(secs => :seconds)
"""
# Shared by all who want it, and waited for by whoever would call it done: no wish is lost between the two.
HOLD = "SELECT tree FROM summary_wanted WHERE tree = :tree FOR KEY SHARE"
NOTE = """
INSERT INTO summary_change AS c (workspace_id, tree, item_id, parent_id)
VALUES (:workspace_id, :tree, :item_id, :parent_id)
ON CONFLICT (tree, item_id, workspace_id) DO UPDATE SET parent_id = coalesce(c.parent_id, excluded.parent_id)
"""

# A tree that is being made stays due: what changes meanwhile does not move it.
CLAIM = fair_claim(
    "summary_wanted",
    "w.tree, w.workspace_id, w.attempts, w.epoch",
    key=("tree", "workspace_id"),
    held_until="leased_until",
)
RENEW = """
UPDATE summary_wanted SET leased_until = now() + make_interval(secs => :lease_s)
WHERE tree = :tree AND epoch = :epoch
"""
LOCK = "SELECT tree FROM summary_wanted WHERE tree = :tree AND epoch = :epoch FOR UPDATE"
LEFT = """
SELECT EXISTS (SELECT FROM summary_change WHERE tree = :tree)
  OR EXISTS (SELECT FROM summary WHERE stale AND (tree = :tree AND height > 0 OR id = :tree))
"""
DONE = "DELETE FROM summary_wanted WHERE tree = :tree"
AGAIN = """
UPDATE summary_wanted SET due_at = now() + make_interval(secs => :seconds), attempts = :attempts,
  leased_until = '-infinity'
WHERE tree = :tree AND epoch = :epoch
"""
# What could not be paid today is due when the next day of the budget begins.
TOMORROW = """
UPDATE summary_wanted SET attempts = 0, leased_until = '-infinity',
  due_at = date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '1 day'
WHERE tree = :tree AND epoch = :epoch
"""


async def want(tx: Transaction, workspace: str, tree: str) -> None:
    """Comes before any row of `summary` is written in the same transaction: everybody locks in this order."""
    seconds = SETTLES_S[level_of(tree)]
    while True:  # the row that was there may be called done by another before it is held
        await tx.execute(WANT, tree=tree, workspace_id=workspace, seconds=seconds)
        if await tx.fetch_value(HOLD, tree=tree):
            break
    await tx.execute(SOONER, tree=tree, seconds=seconds)


async def note(tx: Transaction, workspace: str, tree: str, item_id: str, left: str | None) -> None:
    """An item of a tree changed, came, or went; `left` is the node that it hangs under no longer."""
    await want(tx, workspace, tree)
    await tx.execute(NOTE, workspace_id=workspace, tree=tree, item_id=item_id, parent_id=left)


async def claim(tx: Transaction, limit: int, lease_s: float) -> list[WantedTree]:
    return [WantedTree(**row) for row in await tx.fetch_all(CLAIM, limit=limit, lease_s=lease_s)]


async def renew(tx: Transaction, wanted: WantedTree, lease_s: float) -> None:
    """The first statement of each transaction of an owner. Raises LeaseLost when another one is."""
    if not await tx.execute(RENEW, tree=wanted.tree, epoch=wanted.epoch, lease_s=lease_s):
        raise LeaseLost


async def finish(tx: Transaction, wanted: WantedTree, note: str = "") -> None:
    """Done, unless something changed meanwhile: that is made after the tree settled again. `note`: why not all is."""
    if not await tx.fetch_value(LOCK, tree=wanted.tree, epoch=wanted.epoch):
        return
    if await tx.fetch_value(LEFT, tree=wanted.tree):
        await again(tx, wanted, SETTLES_S[wanted.level], 0)
    elif note == BUDGET_USED_UP:
        await tx.execute(TOMORROW, tree=wanted.tree, epoch=wanted.epoch)
    elif note:
        await again(tx, wanted, retry_seconds(wanted.attempts), wanted.attempts + 1)
    else:
        await tx.execute(DONE, tree=wanted.tree)


async def again(tx: Transaction, wanted: WantedTree, seconds: float, attempts: int) -> None:
    await tx.execute(AGAIN, tree=wanted.tree, epoch=wanted.epoch, seconds=seconds, attempts=attempts)
