"""Settings of sync over the common ones."""

from __future__ import annotations

from typing import Annotated

from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings, means, placed


class SyncSettings(CommonSettings, frozen=True, kw_only=True):
    """A lease outlives two provider requests; a dead owner's work is free again after it."""

    auth_url: Annotated[str, placed("auth inside the network: its broker lends the providers' tokens")]
    sync_workers: Annotated[int, means("resources that one replica pulls at a time")] = 4
    sync_lease_seconds: Annotated[float, means("how long a dead worker's resource stays taken")] = 12.0
    sync_retry_seconds: Annotated[float, means("wait after a failed pull, before the next try")] = 60.0
    sync_page_seconds: Annotated[float, means("how long one page of a provider may take")] = 120.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.sync_workers <= 64:
            raise ConfigurationError("SYNC_WORKERS must be 1 to 64")
        if self.sync_lease_seconds < 1:
            raise ConfigurationError("SYNC_LEASE_SECONDS must be at least 1")
