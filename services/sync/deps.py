"""What every part of this service is given, made once in app.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from libs.common.clock import Clock
from libs.common.database.engine import Database
from libs.common.outbox.feed import FeedHead, Followers
from libs.common.provider.gate import Gates
from libs.common.provider.http import GrantedHttp
from libs.common.provider.manifest import Manifest
from libs.common.provider.sync import SyncFacet
from services.sync.settings import SyncSettings
from services.sync.tokens import Tokens

MOST_RUN_FOLLOWERS = 200  # of a replica: each reads its run's report four times a second

OpenHttp = Callable[[str, str, dict[str, str]], GrantedHttp]


@dataclass(frozen=True, kw_only=True)
class Wakes:
    """Set by whoever makes work in this process; the loops also look by themselves."""

    work: asyncio.Event = field(default_factory=asyncio.Event)
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    discovery: asyncio.Event = field(default_factory=asyncio.Event)
    cleanup: asyncio.Event = field(default_factory=asyncio.Event)
    report: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, kw_only=True)
class Deps:
    """`open_http(provider, token, validators)` is one grant's view of its provider; it passes the `gates`, if any."""

    db: Database
    clock: Clock
    settings: SyncSettings
    tokens: Tokens
    open_http: OpenHttp
    facet_of: Callable[[str], SyncFacet]
    manifest_of: Callable[[str], Manifest]
    owner: str
    gates: Gates | None = None
    wakes: Wakes = field(default_factory=Wakes)
    run_followers: Followers = field(default_factory=lambda: Followers(MOST_RUN_FOLLOWERS))

    @cached_property
    def feed_head(self) -> FeedHead:
        """One for all followers of this process."""
        return FeedHead(self.db)

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.settings.sync_lease_seconds)

    @property
    def first_retry(self) -> timedelta:
        return timedelta(seconds=self.settings.sync_retry_seconds)
