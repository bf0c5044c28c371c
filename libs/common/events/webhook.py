"""Facts about deliveries and provider subscriptions, told by webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from libs.common.events.event import Event
from libs.common.events.source import SourceType


class Hint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Look again at this: `keys` are external keys in a resource; empty keys mean the whole stream.

    `type` is what the keys are, where the provider says it: nobody looks at what no chosen feature wants.
    """

    resource_external_id: str
    stream: str
    keys: tuple[str, ...] = ()
    type: SourceType | None = None


class WebhookReceived(Event, frozen=True, kw_only=True):
    """A verified, stored delivery; it only says "look again".

    `received_at` is its arrival, or when a person asked for another look at it: with `delivery_id` it tells a repeat.
    """

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    delivery_id: str
    provider: str
    event: str
    hints: tuple[Hint, ...]
    received_at: datetime


class WebhookSubscriptionChanged(Event, frozen=True, kw_only=True):
    """Health of an integration's hooks in absolute values with a version."""

    key_field: ClassVar[str] = "integration_id"
    integration_id: str
    version: int
    state: Literal["none", "registering", "active", "manual", "failing", "removed"]
    subscriptions: int = 0
    last_delivery_at: datetime | None = None
    expires_at: datetime | None = None
    detail: str = ""
