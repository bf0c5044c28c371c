"""Looks at start, and now and then, for hooks that do not stand as they should, and has each brought up by its job."""

from __future__ import annotations

from services.webhooks.deps import Deps
from services.webhooks.repository import subscriptions
from services.webhooks.use_cases.hooks import seen_since
from services.webhooks.use_cases.report import settle_later

MOST = 1000


async def review_hooks(*, deps: Deps) -> bool:
    """A hook is due when the installation's public address moved, or it was last seen too long ago: whoever deletes
    one at the provider tells nobody. Always False: what is due now is in jobs, and the next look is not at once.
    """
    async with deps.db.queue() as tx:
        due = await subscriptions.due_hooks(tx, public_url=deps.settings.public_url, before=seen_since(deps), most=MOST)
        for row in due:
            await settle_later(tx, row["id"], at=deps.clock.now(), workspace=row["workspace_id"])
    return False
