"""Facts about an integration and its workspace, told by auth; never a secret."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from libs.common.events.event import Event

IntegrationStatus = Literal["active", "inactive", "error"]


class DesiredState(msgspec.Struct, frozen=True, kw_only=True):
    """What the user wants of an integration. Times are minutes; `config` follows the provider's schema."""

    name: str
    status: IntegrationStatus
    config: dict[str, Any]
    features: tuple[str, ...]
    monitor_changes: bool
    polling_enabled: bool
    polling_interval: int


class IntegrationConnected(Event, frozen=True, kw_only=True):
    """A grant works: discover its resources, make its webhook endpoint, start one run."""

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    provider: str
    version: int
    state: DesiredState
    account_id: str
    account_name: str = ""
    tenant_id: str = ""
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    reconnected: bool = False


class IntegrationUpdated(Event, frozen=True, kw_only=True):
    """The desired state changed; observed state never comes this way, so nothing loops."""

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    provider: str
    version: int
    state: DesiredState
    reason: Literal["configured", "paused", "resumed", "grant", "renamed"]


class IntegrationDisconnected(Event, frozen=True, kw_only=True):
    """Tear down and tombstone everything of it."""

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    provider: str
    version: int
    cause: Literal["user", "workspace_deleted", "revoked"]


class IntegrationAuthFailed(Event, frozen=True, kw_only=True):
    """The provider refused the grant: stop syncing, ask the user for a new consent."""

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    provider: str
    version: int
    code: str


class WorkspaceDeleted(Event, frozen=True, kw_only=True):
    """Erase every row of the workspace and refuse late writes."""

    key_field: ClassVar[str] = "workspace_id"
    version: int
