"""Reading integrations: the desired state beside what was observed."""

from __future__ import annotations

from libs.common.events import IntegrationStatus
from services.auth.deps import Deps
from services.auth.domain.integration import Seen
from services.auth.repository import integrations
from services.auth.use_cases.held import require_workspace, see


async def read_integration(*, deps: Deps, workspace: str, integration_id: str) -> Seen:
    async with deps.db.transaction(workspace) as tx:
        return await see(tx, integration_id)


async def list_integrations(
    *, deps: Deps, workspace: str, status: IntegrationStatus | None, after: str, limit: int
) -> list[Seen]:
    """One more than `limit` when there are more."""
    async with deps.db.transaction(workspace) as tx:
        await require_workspace(tx)
        return await integrations.list_seen(tx, status=status, after=after, limit=limit + 1)
