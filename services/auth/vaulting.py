"""Where a grant's token is sealed and opened: one place, so that the bound parts are always the same five."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.errors import AuthRevoked
from services.auth.deps import Deps
from services.auth.domain.integration import Credential, Integration

PURPOSE = "credential"
ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a field


async def seal_token(tx: Transaction, *, deps: Deps, integration_id: str, version: int, token: str) -> bytes | None:
    """None for a provider that is read without a token."""
    if not token:
        return None
    workspace = tx.workspace or ""
    return await deps.vault.seal(tx, workspace, PURPOSE, integration_id, ACCESS_TOKEN, version, token.encode())


async def open_token(tx: Transaction, *, deps: Deps, integration: Integration, credential: Credential) -> str:
    """Raises AuthRevoked when the secret was erased."""
    if credential.erased:
        raise AuthRevoked("the credential of this integration is erased; connect the provider again")
    if credential.access_sealed is None:
        return ""
    workspace, version = integration.workspace_id, credential.version
    opened = await deps.vault.open(
        tx, workspace, PURPOSE, integration.id, ACCESS_TOKEN, version, credential.access_sealed
    )
    return opened.decode()
