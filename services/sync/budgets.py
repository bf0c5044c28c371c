"""Whose budget an integration spends: its provider's account, or nobody's where a site is read without one."""

from __future__ import annotations

from libs.common.events.source import Cause
from libs.common.limits.rules import Lane
from libs.common.provider.budgets import UNLIMITED, Credential
from libs.common.provider.client import Budget
from services.sync.deps import Deps
from services.sync.repository.integrations import Integration


def credential_of(deps: Deps, integration: Integration) -> Credential:
    """Two integrations of one account are one credential, in whatever workspaces they are."""
    manifest = deps.manifest_of(integration.provider)
    account = f"{integration.account_id}\n{integration.tenant_id}" if integration.account_id else integration.id
    return Credential(
        provider=integration.provider, account="" if manifest.connect == ("url",) else account, holder=integration.id,
        limits=manifest.limits or UNLIMITED,
    )  # fmt: skip


def lane_of(cause: Cause) -> Lane:
    lanes: dict[Cause, Lane] = {"webhook": "hint", "manual": "manual"}
    return lanes.get(cause, "poll")


async def left_of(deps: Deps, integration: Integration, url: str = "") -> Budget | None:
    """What is left of the account's budget at the provider, or of the site's at `url`: limit, remaining, resets_at.

    None while nobody knows, or budgets are not kept. One question to Redis, never one to the provider.
    """
    if deps.gates is None:
        return None
    at = url or deps.open_http(integration.provider, "", {}).api_url
    return await deps.gates.budgets.left_of(credential_of(deps, integration), at)
