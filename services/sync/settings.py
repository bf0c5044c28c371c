"""Settings of sync over the common ones."""

from __future__ import annotations

from typing import Annotated, Literal

from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings, means, placed


class SyncSettings(CommonSettings, frozen=True, kw_only=True):
    """A lease outlives two provider requests; a dead owner's work is free again after it."""

    auth_url: Annotated[str, placed("auth inside the network: its broker lends the providers' tokens")]
    sync_workers: Annotated[int, means("resources that one replica pulls at a time")] = 4
    sync_hint_workers: Annotated[int, means("hints that one replica follows at a time, beside the former")] = 3
    sync_slice_seconds: Annotated[
        float,
        means("after how long a resource gives its worker, between two pages, to a workspace that holds fewer workers"),
    ] = 2.0
    sync_lease_seconds: Annotated[float, means("how long a dead worker's resource stays taken")] = 12.0
    sync_retry_seconds: Annotated[float, means("wait after a failed pull, before the next try")] = 60.0
    sync_page_seconds: Annotated[float, means("how long one page of a provider may take")] = 120.0
    sync_sweep_fuse: Annotated[
        float,
        means("a listing that no longer shows more than this share of a stream's sources deletes nothing unasked"),
    ] = 0.2
    sync_capture_pages: Annotated[
        Literal["off", "failing"], means("`failing` keeps answers of a provider that do not fit its contract, masked")
    ] = "off"
    sync_capture_days: Annotated[float, means("how long such an answer is kept")] = 3.0
    sync_restore_days: Annotated[float, means("how long what a listing deleted can be restored")] = 7.0
    sync_replicas: Annotated[
        int, means("processes of sync and webhooks that share budgets as long as Redis has not told how many live")
    ] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.sync_workers <= 64:
            raise ConfigurationError("SYNC_WORKERS must be 1 to 64")
        if not 2 <= self.sync_hint_workers <= 64:
            raise ConfigurationError("SYNC_HINT_WORKERS must be 2 to 64: one is always left to other workspaces")
        if self.sync_slice_seconds < 0:
            raise ConfigurationError("SYNC_SLICE_SECONDS must be at least 0")
        if self.sync_lease_seconds < 1:
            raise ConfigurationError("SYNC_LEASE_SECONDS must be at least 1")
        if not 0 <= self.sync_sweep_fuse <= 1:
            raise ConfigurationError("SYNC_SWEEP_FUSE must be a share of 0 to 1; 1 never holds anything")
        if self.sync_replicas < 1:
            raise ConfigurationError("SYNC_REPLICAS must be at least 1")

    @property
    def hint_share(self) -> int:
        """How many of a replica's lanes of hints one workspace may hold."""
        return self.sync_hint_workers - 1
