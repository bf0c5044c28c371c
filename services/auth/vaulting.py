"""Where a grant's secrets are sealed and opened: one place, so that the bound parts are always the same five."""

from __future__ import annotations

from libs.common.database.transaction import Transaction
from libs.common.errors import AuthRevoked
from services.auth.deps import Deps
from services.auth.domain.attempt import Attempt
from services.auth.domain.integration import Credential, Integration
from services.auth.providers import Grant
from services.auth.repository import credentials
from services.auth.use_cases.held import require_workspace

PURPOSE = "credential"
ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a field
REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a field
CONSENT = "oauth"


async def keep_grant(tx: Transaction, integration: Integration, grant: Grant, *, deps: Deps) -> int:
    """A new version of the grant, sealed; the caller holds the integration's lock, or has just made it."""
    version = await credentials.next_credential_version(tx, integration.id)

    async def sealed(field: str, secret: str) -> bytes | None:
        if not secret:
            return None
        return await deps.vault.seal(
            tx, integration.workspace_id, PURPOSE, integration.id, field, version, secret.encode()
        )

    await credentials.add_credential(
        tx,
        integration,
        version=version,
        kind=grant.kind,
        access_sealed=await sealed(ACCESS_TOKEN, grant.token),
        refresh_sealed=await sealed(REFRESH_TOKEN, grant.refresh_token),
        expires_at=grant.expires_at,
    )
    return version


async def seal_for(tx: Transaction, attempt: Attempt, field: str, secret: str, *, deps: Deps) -> bytes:
    """What a consent needs meanwhile, and no other consent can open. Raises WorkspaceUnknown when it is being erased:
    no key is made for it then.
    """
    await require_workspace(tx)
    return await deps.vault.seal(tx, attempt.workspace_id, CONSENT, attempt.id, field, 0, secret.encode())


async def open_for(tx: Transaction, attempt: Attempt, field: str, sealed: bytes, *, deps: Deps) -> str:
    return (await deps.vault.open(tx, attempt.workspace_id, CONSENT, attempt.id, field, 0, sealed)).decode()


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
