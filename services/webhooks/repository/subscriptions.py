"""The hook that is wanted of each resource, and what stands at the provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from libs.common.database.transaction import Row, Transaction
from services.webhooks.domain import Hooks, HookState


async def wish(
    tx: Transaction, *, subscription_id: str, workspace: str, integration_id: str, resource_id: str, wanted: bool,
    state: HookState,
) -> str:  # fmt: skip
    """What is wanted from now on; answers the row's own id."""
    found = await tx.fetch_value(
        """
        INSERT INTO subscription (id, workspace_id, integration_id, resource_id, wanted, state)
        VALUES (:id, :workspace, :integration, :resource, :wanted, :state)
        ON CONFLICT (workspace_id, resource_id) DO UPDATE
          SET wanted = excluded.wanted, state = excluded.state, code = '', detail = '', updated_at = now()
        RETURNING id
        """,
        id=subscription_id,
        workspace=workspace,
        integration=integration_id,
        resource=resource_id,
        wanted=wanted,
        state=state,
    )
    return str(found)


async def subscription_work(tx: Transaction, subscription_id: str) -> Row | None:
    """Everything that settling one hook needs to know."""
    return await tx.fetch_one(
        """
        SELECT s.id, s.workspace_id, s.integration_id, s.wanted, s.hook_id, s.secret_version, s.expires_at,
               s.public_url, s.asserted_at, i.provider, i.connected, r.kind, r.external_id, r.name, r.url,
               e.id AS endpoint_id, e.secret_version AS current_version, e.secret_sealed
          FROM subscription s
          JOIN integration i ON i.id = s.integration_id
          JOIN resource r ON r.id = s.resource_id
          JOIN endpoint e ON e.integration_id = s.integration_id
         WHERE s.id = :id
        """,
        id=subscription_id,
    )


async def settle(
    tx: Transaction, subscription_id: str, *, hook_id: str | None, secret_version: int | None, state: HookState,
    expires_at: datetime | None, public_url: str, asserted_at: datetime | None,
) -> None:  # fmt: skip
    """What now stands at the provider; a wish that changed meanwhile keeps its own state. A hook that was just made has
    missed nothing."""
    await tx.execute(
        """
        UPDATE subscription
           SET hook_id = :hook_id, secret_version = :secret_version, expires_at = :expires_at,
               public_url = :public_url, asserted_at = :asserted_at, code = '', detail = '',
               looked_at = CASE WHEN hook_id IS DISTINCT FROM :hook_id THEN :asserted_at ELSE looked_at END,
               look_again_at = CASE WHEN hook_id IS NOT DISTINCT FROM :hook_id THEN look_again_at END,
               state = CASE WHEN wanted = (CAST(:hook_id AS text) IS NOT NULL) THEN :state ELSE state END,
               updated_at = now()
         WHERE id = :id
        """,
        id=subscription_id,
        hook_id=hook_id,
        secret_version=secret_version,
        state=state,
        expires_at=expires_at,
        public_url=public_url,
        asserted_at=asserted_at,
    )


async def due_hooks(tx: Transaction, *, public_url: str, before: datetime, most: int) -> Sequence[Row]:
    """Standing hooks made for another public address, or not seen since `before`. `tx` is of the worker role."""
    return await tx.fetch_all(
        """
        SELECT id, workspace_id FROM subscription
         WHERE wanted AND state = 'active'
           AND (public_url <> :public_url OR asserted_at IS NULL OR asserted_at < :before)
         ORDER BY asserted_at NULLS FIRST LIMIT :most
        """,
        public_url=public_url,
        before=before,
        most=most,
    )


async def fail(tx: Transaction, subscription_id: str, *, code: str, detail: str) -> None:
    await tx.execute(
        "UPDATE subscription SET state = 'failing', code = :code, detail = :detail, updated_at = now() WHERE id = :id",
        id=subscription_id,
        code=code,
        detail=detail[:500],
    )


async def note_wait(tx: Transaction, subscription_id: str, *, code: str, detail: str) -> None:
    """Why it is as it was: the provider is not asked now."""
    await tx.execute(
        "UPDATE subscription SET code = :code, detail = :detail, updated_at = now() WHERE id = :id",
        id=subscription_id,
        code=code,
        detail=detail,
    )


async def hooks_of(tx: Transaction, integration_id: str) -> list[Hooks]:
    rows = await tx.fetch_all(
        "SELECT wanted, state, hook_id, expires_at, detail FROM subscription WHERE integration_id = :id ORDER BY id",
        id=integration_id,
    )
    return [Hooks(**row) for row in rows]


async def standing(tx: Transaction, integration_id: str) -> Sequence[Row]:
    """Subscriptions whose hook must learn a new secret."""
    return await tx.fetch_all(
        "SELECT id, resource_id FROM subscription WHERE integration_id = :id AND wanted ORDER BY id", id=integration_id
    )


async def of_integration(tx: Transaction, integration_id: str, *, after: str | None, limit: int) -> Sequence[Row]:
    """`last_delivery_at` is of the integration's endpoint, which all its hooks share."""
    return await tx.fetch_all(
        """
        SELECT s.id, s.resource_id, r.external_id, r.name, s.wanted, s.state, s.hook_id, s.expires_at, s.code, s.detail,
               s.updated_at, s.asserted_at, nullif(s.looked_at, 'infinity') AS looked_at, s.look_code, s.look_detail,
               (SELECT count(*) FROM missed_delivery m JOIN endpoint e ON e.integration_id = m.integration_id
                 WHERE m.subscription_id = s.id AND NOT EXISTS (
                   SELECT 1 FROM delivery d WHERE d.endpoint_id = e.id AND d.delivery_key = m.delivery_key)) AS missed,
               (SELECT d.received_at FROM delivery d WHERE d.integration_id = s.integration_id
                 ORDER BY d.id DESC LIMIT 1) AS last_delivery_at
          FROM subscription s JOIN resource r ON r.id = s.resource_id
         WHERE s.integration_id = :integration AND (CAST(:after AS text) IS NULL OR s.id > :after)
         ORDER BY s.id LIMIT :limit
        """,
        integration=integration_id,
        after=after,
        limit=limit,
    )


async def hook_of(tx: Transaction, integration_id: str, resource: str) -> Row | None:
    """The hook of a resource by the provider's id of it: NULLs when none is wanted. None: no such integration."""
    return await tx.fetch_one(
        """
        SELECT i.monitor_changes, s.state, s.hook_id, s.asserted_at, s.detail, s.updated_at
          FROM integration i
          LEFT JOIN resource r ON r.integration_id = i.id AND r.external_id = :resource
          LEFT JOIN subscription s ON s.resource_id = r.id AND s.wanted
         WHERE i.id = :integration ORDER BY s.updated_at DESC NULLS LAST LIMIT 1
        """,
        integration=integration_id,
        resource=resource,
    )
