"""The rules of webhooks without any I/O: which hook is wanted, what the integration's hooks amount to, what is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from libs.common.events import Hint
from libs.common.provider.client import Budget
from libs.common.provider.manifest import WebhookScheme
from libs.common.security.secrets import Secret

HookState = Literal["registering", "active", "removing", "removed", "failing"]
Health = Literal["none", "registering", "active", "manual", "failing", "removed"]
Outcome = Literal["handled", "ignored", "unknown"]

# Of a provider's headers these are kept beside the scheme's own; a signature could help to forge, so it is not.
KEPT_HEADERS = frozenset({"content-type", "user-agent"})
LONGEST_HEADER = 512
KEPT_FOR_SYNC = 0.1  # of an account's budget: what was missed is found by polls as well
LEAST_BETWEEN_LOOKS = timedelta(seconds=10)  # also of a process that starts again and again


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`secrets` are the live ones, the current first. Opened, so never kept longer than a few seconds."""

    id: str
    workspace_id: str
    integration_id: str
    provider: str
    secrets: tuple[Secret, ...]
    secret_version: int


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A verified and parsed delivery on its way into the table."""

    id: str
    workspace_id: str
    endpoint_id: str
    integration_id: str
    provider: str
    delivery_key: str
    event: str
    outcome: Outcome
    reason: str
    hints: tuple[Hint, ...]
    body: bytes
    body_hash: bytes
    headers: dict[str, str]
    received_at: datetime
    traceparent: str | None


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of an integration's hooks."""

    connected: bool
    monitor_changes: bool
    registration: Literal["api", "manual", "app", "none"]

    @property
    def by_api(self) -> bool:
        return self.connected and self.monitor_changes and self.registration == "api"


class Hooks(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription as far as the integration's health depends on it."""

    wanted: bool
    state: HookState
    hook_id: str | None
    expires_at: datetime | None = None
    detail: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What auth shows of an integration's hooks, in absolute values."""

    state: Health
    subscriptions: int = 0
    expires_at: datetime | None = None
    detail: str = ""


def wants_hook(desired: Desired, *, selected: bool) -> bool:
    return desired.by_api and selected


def next_state(*, wanted: bool, hook_id: str | None) -> HookState:
    """What a subscription is doing from the moment its wish changed."""
    if wanted:
        return "registering"
    return "removed" if hook_id is None else "removing"


def report(desired: Desired, hooks: Sequence[Hooks]) -> Report:
    """The worst of the subscriptions is the integration's."""
    standing = [hook for hook in hooks if hook.hook_id is not None]
    live = [hook for hook in hooks if hook.wanted or hook.state in {"removing", "failing"}]
    expiries = [hook.expires_at for hook in standing if hook.expires_at is not None]
    return Report(
        state=_health(desired, live),
        subscriptions=len(standing),
        expires_at=min(expiries, default=None),
        detail=next((hook.detail for hook in live if hook.state == "failing"), ""),
    )


def _health(desired: Desired, live: Sequence[Hooks]) -> Health:
    states = {hook.state for hook in live}
    if "failing" in states:
        return "failing"
    if states & {"registering", "removing"}:
        return "registering"
    if not desired.connected:
        return "removed"
    if not desired.monitor_changes:
        return "none"
    if desired.registration != "api":
        return "none" if desired.registration == "none" else "manual"
    return "active" if live else "none"


def kept_headers(scheme: WebhookScheme, headers: Mapping[str, str]) -> dict[str, str]:
    """Enough to read the stored body again, and nothing that a delivery carries beyond that."""
    names = KEPT_HEADERS | {scheme.delivery_header, scheme.event_header}
    return {name: headers[name][:LONGEST_HEADER] for name in sorted(names) if name in headers}


def next_look_before(now: datetime, *, started: datetime, every: timedelta) -> datetime:
    """A hook that was looked through for missed deliveries before this moment is due."""
    return min(max(now - every, started), now - LEAST_BETWEEN_LOOKS)


def rests_until(budget: Budget | None) -> datetime | None:
    """When there is enough of the account's budget again; None while there is."""
    if budget is None or budget.remaining > budget.limit * KEPT_FOR_SYNC:
        return None
    return budget.resets_at


def hook_url(public_url: str, provider: str, endpoint_id: str) -> str:
    return f"{public_url.rstrip('/')}/v1/hooks/{provider}/{endpoint_id}"
