"""Endpoints with opened secrets: read once for a burst of deliveries, and again before a signature is refused."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from libs.common.clock import Clock
from libs.common.database.engine import Database
from libs.common.database.transaction import Row, Transaction
from libs.common.errors import NotFound
from libs.common.security.secrets import Secret
from libs.common.security.vault import Vault
from services.webhooks.domain import Endpoint
from services.webhooks.repository import endpoints

PURPOSE = "webhook-endpoint"
FIELD = "secret"
KEPT_FOR = timedelta(seconds=5)
MOST_KEPT = 1000
LONGEST_ID = 64


def new_endpoint_id() -> str:
    """Not guessable (192 bits): it is part of the URL that a provider posts to."""
    return secrets.token_urlsafe(24)


def new_secret() -> Secret:
    return Secret(secrets.token_urlsafe(32))


class Endpoints:
    """Live endpoints by id. An opened secret stays in memory for seconds only."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db = db
        self._vault = vault
        self._clock = clock
        self._kept: dict[str, tuple[datetime, Endpoint]] = {}

    async def get(self, endpoint_id: str) -> Endpoint:
        """At most a few seconds old. Raises NotFound."""
        kept = self._kept.get(endpoint_id)
        if kept is not None and self._clock.now() < kept[0]:
            return kept[1]
        return await self.read(endpoint_id)

    async def read(self, endpoint_id: str) -> Endpoint:
        """As it is now. Raises NotFound."""
        self._kept.pop(endpoint_id, None)
        if len(endpoint_id) > LONGEST_ID:
            raise NotFound
        workspace = await self._db.locate("endpoint", endpoint_id)
        if workspace is None:
            raise NotFound
        async with self._db.transaction(workspace) as tx:
            row = await endpoints.live_endpoint(tx, endpoint_id)
            if row is None:
                raise NotFound
            found = await self._opened(tx, row)
        self._keep(found)
        return found

    async def _opened(self, tx: Transaction, row: Row) -> Endpoint:
        live = [await open_secret(tx, self._vault, row, "secret_version", "secret_sealed")]
        until = row["previous_until"]
        if row["previous_sealed"] is not None and self._clock.now() < until:
            live.append(await open_secret(tx, self._vault, row, "previous_version", "previous_sealed"))
        return Endpoint(
            id=row["id"],
            workspace_id=row["workspace_id"],
            integration_id=row["integration_id"],
            provider=row["provider"],
            secrets=tuple(live),
            secret_version=row["secret_version"],
        )

    def _keep(self, endpoint: Endpoint) -> None:
        if len(self._kept) >= MOST_KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[endpoint.id] = (self._clock.now() + KEPT_FOR, endpoint)


async def seal_secret(
    tx: Transaction, vault: Vault, workspace: str, integration_id: str, version: int, secret: Secret
) -> bytes:
    return await vault.seal(tx, workspace, PURPOSE, integration_id, FIELD, version, secret.reveal().encode())


async def open_secret(tx: Transaction, vault: Vault, row: Row, version: str, sealed: str) -> Secret:
    """`version` and `sealed` name the columns of the row."""
    text = await vault.open(
        tx, row["workspace_id"], PURPOSE, row["integration_id"], FIELD, row[version], bytes(row[sealed])
    )
    return Secret(text.decode())
