"""Sync and webhooks call one provider with one account: together they keep to its budget, and neither starves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from libs.common.clock import SystemClock
from libs.common.errors import BreakerOpen, PassingFailure, RateLimited, RetryAfter
from libs.common.ids import new_id
from libs.common.internal import AccessToken
from libs.common.provider.budgets import credential_of
from libs.common.provider.client import Budget, ProviderHttp
from libs.common.testing.eventually import eventually
from libs.local.valkey import Valkey
from libs.providers import registry
from libs.providers.github.client import check_hook, get
from services.sync import app as sync_app
from services.sync.repository.integrations import Integration
from services.sync.settings import SyncSettings
from services.sync.workers.grants import Grant
from services.webhooks import app as webhooks_app
from services.webhooks.deps import Deps as WebhooksDeps
from services.webhooks.settings import WebhooksSettings
from services.webhooks.use_cases.lending import ask_provider
from tests.support.figures import Tell

API = "https://api.github.com"
LIMIT = 60
SETTINGS: dict[str, Any] = {
    "database_url": "postgresql://nobody@127.0.0.1:1/none", "worker_database_url": "postgresql://nobody@127.0.0.1:1/none",
    "kafka_bootstrap_servers": "127.0.0.1:1", "public_url": "https://hooks.example", "auth_url": "http://127.0.0.1:1",
    "service_signing_keys_dir": "none", "bootstrap_api_key_sha256": "0" * 64,
}  # fmt: skip


class Said(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    url: str
    body: bytes = b"[]"


@dataclass
class Hub:
    """Implements Outbound: GitHub's budget of one account as its headers tell it, by its own clock."""

    left: int = LIMIT
    reset: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))
    retry_after: int = 0
    down: bool = False
    calls: list[tuple[str, datetime]] = field(default_factory=list)
    refused: int = 0

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None, **_: Any
    ) -> Said:
        self.calls.append((url.rsplit("/", 1)[1], datetime.now(UTC)))
        await asyncio.sleep(0)
        if self.down:
            return Said(502, {}, url)
        if self.retry_after:
            seconds, self.retry_after = self.retry_after, 0
            return Said(429, {"retry-after": str(seconds)}, url)
        self.refused += self.left == 0
        status, self.left = (200 if self.left else 403), max(self.left - 1, 0)
        return Said(status, self._budget(), url)

    def _budget(self) -> dict[str, str]:
        told = {"limit": LIMIT, "remaining": self.left, "reset": int(self.reset.timestamp())}
        return {f"x-ratelimit-{name}": str(value) for name, value in told.items()}

    def of(self, who: str) -> int:
        return sum(name == who for name, _ in self.calls)


@dataclass
class Both:
    """The two services as they are composed, of which only the provider and auth's answers are played."""

    hub: Hub
    sync: Callable[[], Awaitable[None]]
    hooks: Callable[[], Awaitable[None]]
    left: Callable[[], Awaitable[Budget | None]]

    async def is_spent(self) -> bool:
        """What an answer said reaches the others a moment later."""
        left = await self.left()
        return left is not None and left.remaining == 0

    def named(self, name: str) -> Callable[[], Awaitable[None]]:
        return self.sync if name == "sync" else self.hooks


class Lending:
    """Auth's answers: two integrations in two workspaces, connected with one account."""

    def __init__(self) -> None:
        self.token = AccessToken(
            token="t", version=1, expires_at=None, provider="github", config={}, account="7",
            budget_key=new_id().encode(),
        )  # fmt: skip

    async def post(self, *_: Any, **__: Any) -> AccessToken:
        return self.token

    async def lend(self, *_: Any, **__: Any) -> AccessToken:
        return self.token


@pytest.fixture
async def both(valkey: Valkey) -> AsyncIterator[Both]:
    hub, auth, others = Hub(), Lending(), asyncio.all_tasks()
    syncing = sync_app.create_deps(
        SyncSettings(**SETTINGS, redis_url=valkey.url),
        hub,  # type: ignore[arg-type]
        auth,
        environ={},
    )
    settings = WebhooksSettings(
        **SETTINGS, redis_url=valkey.url, sluice_kek="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    )
    gates = webhooks_app.create_gates(settings, SystemClock())
    hooking = webhooks_app.create_deps(settings, tokens=auth, granted=webhooks_app.granting(hub, gates, {}))
    assert syncing.gates is not None
    beating = [asyncio.create_task(_beat(one)) for one in (syncing.gates, gates)]
    account = credential_of(auth.token, registry.manifest("github"), holder="nobody")
    yield Both(hub, _syncing(syncing), _hooking(hooking), partial(syncing.gates.budgets.left_of, account, API))
    for task in beating:
        task.cancel()
    telling = asyncio.all_tasks() - others - {asyncio.current_task()}
    if telling:  # what the last calls have still to tell
        await asyncio.wait(telling, timeout=5)
    await syncing.gates.close()
    await gates.close()


async def _beat(gates: Any) -> None:
    while True:
        await gates.beat()
        await asyncio.sleep(1)


def _syncing(deps: Any) -> Callable[[], Awaitable[None]]:
    integration = Integration(
        id=new_id(), workspace_id=new_id(), provider="github", version=1, name="", status="active", config={},
        features=(), monitor_changes=False, polling_enabled=True, polling_interval=15, disconnected=False,
    )  # fmt: skip
    grant = Grant(deps, integration, lane="poll")

    async def call() -> None:
        await grant.ask(lambda ctx: get(ctx.http, "/sync"))

    return call


def _hooking(deps: WebhooksDeps) -> Callable[[], Awaitable[None]]:
    row = {"provider": "github", "workspace_id": new_id(), "integration_id": new_id(), "connected": True}

    async def assert_hook(http: ProviderHttp) -> None:
        check_hook(http, await http.request("POST", "/hooks"))

    async def call() -> None:
        await ask_provider(deps, row, assert_hook)

    return call


async def until_it_must_wait(call: Callable[[], Awaitable[None]]) -> RetryAfter:
    for _ in range(10 * LIMIT):
        try:
            await call()
        except RetryAfter as wait:
            if not getattr(wait, "alone", False):
                return wait
        except PassingFailure:
            continue
    raise AssertionError("nobody told it to wait")


async def test_two_services_spend_one_budget_in_turn_and_stop_where_it_ends(both: Both, figure: Tell) -> None:
    hub = both.hub
    waits = await asyncio.gather(until_it_must_wait(both.sync), until_it_must_wait(both.hooks))
    figure("two_services", len(hub.calls), "calls_of_one_budget", LIMIT)
    assert hub.refused == 0
    assert 0.9 * LIMIT <= len(hub.calls) <= LIMIT
    assert min(hub.of("sync"), hub.of("hooks")) >= 0.3 * LIMIT
    assert all(abs(wait.until - hub.reset) < timedelta(seconds=2) for wait in waits)


async def test_hooks_are_made_of_what_polls_leave_and_leave_the_last_to_hints(both: Both) -> None:
    await until_it_must_wait(both.sync)
    polls = both.hub.of("sync")
    await until_it_must_wait(both.hooks)
    assert (polls, both.hub.of("hooks"), both.hub.left) == (LIMIT * 95 // 100, 2, 1)


@pytest.mark.parametrize(("told", "other"), [("sync", "hooks"), ("hooks", "sync")])
async def test_retry_after_told_to_one_service_holds_for_the_other(both: Both, told: str, other: str) -> None:
    both.hub.retry_after = 3
    with pytest.raises(RateLimited):
        await both.named(told)()
    ends = both.hub.calls[0][1] + timedelta(seconds=3)
    await eventually(both.is_spent, timeout=20)

    async def served() -> bool:
        try:
            await both.named(other)()
        except RateLimited:
            return False
        return True

    await eventually(served, timeout=20)
    assert [at for who, at in both.hub.calls if who == other and at < ends] == []


@pytest.mark.parametrize(("failed", "other"), [("sync", "hooks"), ("hooks", "sync")])
async def test_host_that_failed_one_service_is_not_asked_by_the_other(both: Both, failed: str, other: str) -> None:
    both.hub.down = True
    assert isinstance(await until_it_must_wait(both.named(failed)), BreakerOpen)
    asked = both.hub.of(other)
    with pytest.raises(BreakerOpen):
        await both.named(other)()
    assert both.hub.of(other) == asked == 0


def test_the_budget_of_these_tests_is_githubs() -> None:
    limits = registry.manifest("github").limits
    assert limits is not None
    assert limits.requests_per_hour > LIMIT  # so that the headers alone make it smaller
