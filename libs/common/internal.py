"""What services ask each other on the three internal routes; JSON in snake_case, service tokens only."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from libs.common.events.source import SourceType

ACCESS_TOKEN_PATH = "/internal/v1/integrations/{integration_id}/access-token"  # noqa: S105 - a route
SOURCE_BATCH_PATH = "/internal/v1/sources:batch"
MAX_BATCH_IDS = 200
MAX_BATCH_BYTES = 8_000_000


class AccessTokenAsked(msgspec.Struct, frozen=True, kw_only=True):
    """`workspace_id` is the asking job's own: the broker compares. `refused_version`: the provider said no to it.

    `purpose` teardown is lent for removing hooks after a disconnect.
    """

    workspace_id: str
    refused_version: int | None = None
    purpose: Literal["sync", "hooks", "teardown"] = "sync"


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """`expires_at` None is unknown. `token` is empty for providers that are read without one. Never a refresh token.

    `account` is the provider's own name of whose budget its calls spend, "" unknown. Under names keyed by `budget_key`
    all services share those budgets.
    """

    token: str
    version: int
    expires_at: datetime | None
    provider: str
    config: dict[str, Any]
    account: str = ""
    budget_key: bytes = b""

    def __repr__(self) -> str:
        return f"AccessToken(provider={self.provider!r}, version={self.version})"


class SourceBatchAsked(msgspec.Struct, frozen=True, kw_only=True):
    """At most MAX_BATCH_IDS ids; the answer is cut at MAX_BATCH_BYTES of content and names what was left out."""

    workspace_id: str
    ids: tuple[str, ...]


class SourceItem(msgspec.Struct, frozen=True, kw_only=True):
    """`present` carries the content; `tombstone` the version of the delete; `unknown` nothing more."""

    id: str
    state: Literal["present", "tombstone", "unknown"]
    version: int = 0
    integration_id: str = ""
    resource_id: str = ""
    resource_name: str = ""
    provider: str = ""
    type: SourceType | None = None
    name: str = ""
    path: str | None = None
    url: str = ""
    content: str = ""
    content_type: str = ""
    content_hash: str = ""
    author: str = ""
    updated_at: datetime | None = None
    metadata: dict[str, Any] = {}


class SourceBatch(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[SourceItem, ...]
    left_out: tuple[str, ...] = ()
