"""Bodies in and out: camelCase, typed, and never a secret on the way out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from libs.common.events import IntegrationStatus
from libs.common.http.wire import Wire
from libs.common.provider.manifest import Manifest
from services.auth.domain.attempt import Callback
from services.auth.domain.integration import Seen, StatusReason
from services.auth.providers import ConnectWay
from services.auth.use_cases.connect import ConnectAsked


class WorkspaceWire(Wire):
    id: str
    created_at: datetime


class FeatureWire(Wire):
    """`enabled` is what a connect that leaves `features` out switches on."""

    id: str
    name: str
    description: str
    enabled: bool


class ConnectWayWire(Wire):
    """`missing` names the variables that an operator has to set before this way works."""

    kind: Literal["oauth", "token", "url"]
    configured: bool
    missing: list[str]


class ProviderWire(Wire):
    """`configured` = at least one way to connect works; `missing` = what the other ways lack."""

    id: str
    name: str
    description: str
    icon: str
    status: Literal["available", "planned"]
    features: list[FeatureWire]
    connect: list[ConnectWayWire]
    configured: bool
    missing: list[str]
    resource_name: str
    polling_interval: int


class ProvidersWire(Wire):
    items: list[ProviderWire]


class WishBody(Wire):
    """What a new integration is to be like; what is left out is as the manifest says. `features` is never empty."""

    name: str | None = None
    features: list[str] | None = None
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    monitor_changes: bool = False
    polling_enabled: bool = False
    polling_interval: int | None = None
    resources: list[str] = msgspec.field(default_factory=list)

    def asked(self, provider: str, *, token: str = "", url: str = "") -> ConnectAsked:
        return ConnectAsked(
            provider=provider,
            token=token,
            url=url,
            name=self.name,
            features=None if self.features is None else tuple(self.features),
            config=self.config,
            metadata=self.metadata,
            monitor_changes=self.monitor_changes,
            polling_enabled=self.polling_enabled,
            polling_interval=self.polling_interval,
            resources=tuple(self.resources),
        )


class ConnectBody(WishBody):
    """`provider` and `type` are the same thing; send one. A token, or the address of a site."""

    provider: str | None = None
    type: str | None = None
    token: str | None = None
    url: str | None = None

    def __repr__(self) -> str:
        return "ConnectBody()"


class ChangeBody(Wire):
    """What is left out stays; `config` and `metadata` are replaced whole; the address of a site stays.

    `features` null are the manifest's again; the list is never empty.
    """

    name: str | UnsetType = UNSET
    features: list[str] | UnsetType | None = UNSET
    config: dict[str, Any] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    monitor_changes: bool | UnsetType = UNSET
    polling_enabled: bool | UnsetType = UNSET
    polling_interval: int | UnsetType = UNSET


class ReconnectBody(Wire):
    """A token, or `redirectUrl` for a new consent; neither for a provider that is connected by its address."""

    token: str | None = None
    redirect_url: str | None = None
    subject: str | None = None
    callback: Callback | None = None

    def __repr__(self) -> str:
        return "ReconnectBody()"


class AccountWire(Wire):
    """The provider's own facts, read only."""

    id: str
    name: str
    tenant_id: str
    scopes: list[str]


class WebhookWire(Wire):
    state: str
    subscriptions: int
    last_delivery_at: datetime | None
    expires_at: datetime | None
    detail: str


class FeedbackWire(Wire):
    helpful: int
    unhelpful: int
    outdated: int
    incorrect: int


class IntegrationWire(Wire):
    """The integration that a client sees. Polling interval in minutes; `errorCount` = failures in a row."""

    id: str
    name: str
    type: str
    workspace_id: str
    status: IntegrationStatus
    status_reason: StatusReason | None
    features: list[str]
    config: dict[str, Any]
    metadata: dict[str, Any]
    account: AccountWire
    monitor_changes: bool
    webhook: WebhookWire
    polling_enabled: bool
    polling_interval: int
    last_polled_at: datetime | None
    next_poll_at: datetime | None
    change_count: int
    last_error: str | None
    last_error_code: str | None
    error_count: int
    feedback: FeedbackWire
    version: int
    created_at: datetime
    updated_at: datetime


class CheckWire(Wire):
    """`indeterminate`: the provider could not say; the status stays as it was."""

    result: Literal["passed", "failed", "indeterminate"]
    code: str | None
    detail: str | None


def integration_wire(seen: Seen) -> IntegrationWire:
    one, observed = seen.integration, seen.observed
    return IntegrationWire(
        id=one.id,
        name=one.name,
        type=one.provider,
        workspace_id=one.workspace_id,
        status=one.status,
        status_reason=one.reason,
        features=list(one.features),
        config=one.config,
        metadata=one.metadata,
        account=_account(seen),
        monitor_changes=one.monitor_changes,
        webhook=_webhook(seen),
        polling_enabled=one.polling_enabled,
        polling_interval=one.polling_interval,
        last_polled_at=observed.last_polled_at,
        next_poll_at=observed.next_poll_at,
        change_count=observed.change_count,
        last_error=observed.last_error,
        last_error_code=observed.last_error_code,
        error_count=observed.error_count,
        feedback=_feedback(seen),
        version=one.version,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def _account(seen: Seen) -> AccountWire:
    account = seen.integration.account
    return AccountWire(
        id=account.account_id, name=account.account_name, tenant_id=account.tenant_id, scopes=list(account.scopes)
    )


def _webhook(seen: Seen) -> WebhookWire:
    observed = seen.observed
    return WebhookWire(
        state=observed.hooks_state,
        subscriptions=observed.subscriptions,
        last_delivery_at=observed.last_delivery_at,
        expires_at=observed.hooks_expire_at,
        detail=observed.hooks_detail,
    )


def _feedback(seen: Seen) -> FeedbackWire:
    observed = seen.observed
    return FeedbackWire(
        helpful=observed.helpful,
        unhelpful=observed.unhelpful,
        outdated=observed.outdated,
        incorrect=observed.incorrect,
    )


def provider_wire(manifest: Manifest, ways: list[ConnectWay], public_url: str) -> ProviderWire:
    """A planned provider has nothing to configure yet."""
    planned = manifest.status == "planned"
    connect = [
        ConnectWayWire(kind=way.kind, configured=not way.missing and not planned, missing=list(way.missing))
        for way in ways
    ]
    return ProviderWire(
        id=manifest.id,
        name=manifest.name,
        description=manifest.description,
        icon=f"{public_url.rstrip('/')}/v1/providers/{manifest.id}/icon",
        status=manifest.status,
        features=[
            FeatureWire(id=one.id, name=one.name, description=one.description, enabled=one.enabled)
            for one in manifest.features
        ],
        connect=connect,
        configured=any(way.configured for way in connect),
        missing=[name for way in connect for name in way.missing],
        resource_name=manifest.resource_name,
        polling_interval=manifest.polling_interval_minutes,
    )
