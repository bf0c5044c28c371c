"""Settings of sync over the common ones."""

from __future__ import annotations

from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings


class SyncSettings(CommonSettings, frozen=True, kw_only=True):
    """A lease outlives two provider requests; a dead owner's work is free again after it."""

    sync_workers: int = 4
    sync_lease_seconds: float = 12.0
    sync_retry_seconds: float = 60.0
    sync_page_seconds: float = 120.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.sync_workers <= 64:
            raise ConfigurationError("SYNC_WORKERS must be 1 to 64")
        if self.sync_lease_seconds < 1:
            raise ConfigurationError("SYNC_LEASE_SECONDS must be at least 1")
        if not self.auth_url:
            raise ConfigurationError("AUTH_URL is not set: provider tokens come from auth's broker")
