"""What an integration is, and the one rule that turns its facts into a status."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from libs.common.errors import InvalidInput
from libs.common.events import DesiredState, IntegrationStatus
from libs.common.provider.auth import Account
from libs.common.provider.manifest import Manifest

FAILED_RUNS_IN_A_ROW = 5

StatusReason = Literal["disconnected", "paused", "grant_lost", "runs_failing"]
CredentialKind = Literal["token", "oauth", "none"]


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """The desired state and where the grant stands. `failing` follows the runs; `grant_code` set = grant lost."""

    id: str
    workspace_id: str
    provider: str
    name: str
    config: dict[str, Any]
    features: tuple[str, ...]
    metadata: dict[str, Any]
    monitor_changes: bool
    polling_enabled: bool
    polling_interval: int
    version: int
    account: Account
    created_at: datetime
    updated_at: datetime
    paused: bool = False
    failing: bool = False
    grant_code: str | None = None
    disconnected_at: datetime | None = None

    @property
    def reason(self) -> StatusReason | None:
        """The first that applies: what the user did outranks what the provider or a run did."""
        if self.disconnected_at is not None:
            return "disconnected"
        if self.paused:
            return "paused"
        if self.grant_code is not None:
            return "grant_lost"
        return "runs_failing" if self.failing else None

    @property
    def status(self) -> IntegrationStatus:
        return status_for(self.reason)

    def desired(self) -> DesiredState:
        """Failing runs stay out: they are observed, and a desired "error" would stop the run that could heal them."""
        reason = self.reason
        return DesiredState(
            name=self.name,
            status="active" if reason == "runs_failing" else status_for(reason),
            config=self.config,
            features=self.features,
            monitor_changes=self.monitor_changes,
            polling_enabled=self.polling_enabled,
            polling_interval=self.polling_interval,
        )


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What the other services report, as absolute values."""

    last_polled_at: datetime | None = None
    next_poll_at: datetime | None = None
    change_count: int = 0
    error_count: int = 0
    last_error: str | None = None
    last_error_code: str | None = None
    hooks_state: str = "none"
    subscriptions: int = 0
    last_delivery_at: datetime | None = None
    hooks_expire_at: datetime | None = None
    hooks_detail: str = ""
    helpful: int = 0
    unhelpful: int = 0
    outdated: int = 0
    incorrect: int = 0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An integration as a client sees it: the desired state beside the observed one."""

    integration: Integration
    observed: Observation


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One sealed version of a grant; `access_sealed` None = erased, or a provider that is read without a token."""

    version: int
    kind: CredentialKind
    access_sealed: bytes | None
    expires_at: datetime | None
    account_id: str
    tenant_id: str
    erased: bool


def status_for(reason: StatusReason | None) -> IntegrationStatus:
    if reason is None:
        return "active"
    return "inactive" if reason in ("disconnected", "paused") else "error"


def runs_failing(failures_in_a_row: int) -> bool:
    """Five failed runs in a row are an error; one success ends the row."""
    return failures_in_a_row >= FAILED_RUNS_IN_A_ROW


def same_account(stored: Account, found: Account) -> bool:
    """A reconnect keeps everything that was synced, so it must be the very same account in the same tenant."""
    return (stored.account_id, stored.tenant_id) == (found.account_id, found.tenant_id)


def site_of(integration: Integration, manifest: Manifest) -> str:
    """The address that a provider connected by URL is asked at; empty for the others."""
    return str(integration.config.get("url", "")) if "url" in manifest.connect else ""


def keep_site(config: dict[str, Any], site: str) -> dict[str, Any]:
    """The address is the account: settings are replaced around it. Raises InvalidInput for another one."""
    if not site:
        return config
    if config.get("url", site) != site:
        raise InvalidInput("the address stays; disconnect to connect another site", pointer="/config/url")
    return {**config, "url": site}
