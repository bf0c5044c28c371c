"""One grant's use for one piece of work: its token, its view of the provider, and one second try with a newer token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import TypeVar

from libs.common.errors import AuthExpired
from libs.common.internal import AccessToken
from libs.common.limits.rules import Lane
from libs.common.provider.budgets import Credential, credential_of
from libs.common.provider.client import Budget
from libs.common.provider.http import GrantedHttp
from libs.common.provider.sync import Held, Resource, SyncContext
from services.sync.deps import Deps
from services.sync.repository import sources
from services.sync.repository.integrations import Integration
from services.sync.repository.resources import Stored
from services.sync.repository.runs import Counts
from services.sync.use_cases.capturing import capture
from services.sync.workers.pulled import Used

T = TypeVar("T")


class Grant:
    """`renew` may be used once; requests of every view are counted together."""

    def __init__(
        self,
        deps: Deps,
        integration: Integration,
        validators: dict[str, str] | None = None,
        *,
        lane: Lane = "manual",
    ) -> None:
        self.integration = integration
        self.resource: Resource | None = None
        self._resource_id = ""
        self._since: datetime | None = None
        self.http: GrantedHttp | None = None
        self._deps = deps
        self._lane = lane
        self._validators = dict(validators or {})
        self._stored = frozenset(self._validators)
        self._asked: set[str] = set()
        self._token: AccessToken | None = None
        self._renewed = False
        self._counted = (0, 0, 0)

    def work_on(self, stored: Stored) -> None:
        self.resource, self._resource_id, self._since = stored.as_resource(), stored.id, stored.since

    async def context(self, *, hinted: bool = False, full: bool = False) -> SyncContext:
        """Raises the broker's AuthExpired, AuthRevoked or DependencyDown."""
        if self._token is None:
            self._token = await self._deps.tokens.get(
                workspace=self.integration.workspace_id, integration=self.integration.id
            )
        if self.http is None:
            self.http = self._open(self._token)
            self._counted = (0, 0, 0)
        return SyncContext(
            http=self.http,
            clock=self._deps.clock,
            config=self.integration.config,
            features=self.integration.features,
            resource=self.resource,
            since=self._since,
            full=full,
            hinted=hinted,
            held=self._held,
        )

    async def left(self) -> Budget | None:
        """What is left of the account's budget at the provider, or of the site's: limit, remaining, resets_at.

        None while nobody knows, or budgets are not kept. One question to Redis, never one to the provider.
        """
        if self._deps.gates is None or self._token is None or self.http is None:
            return None
        return await self._deps.gates.budgets.left_of(self._credential(self._token), self.http.api_url)

    def _open(self, token: AccessToken) -> GrantedHttp:
        http = self._deps.open_http(self.integration.provider, token.token, self._validators)
        if self._deps.gates is not None:
            credential, workspace = self._credential(token), self.integration.workspace_id
            http.gate = self._deps.gates.open(credential, workspace=workspace, lane=self._lane)
        return http

    def _credential(self, token: AccessToken) -> Credential:
        manifest = self._deps.manifest_of(self.integration.provider)
        return credential_of(token, manifest, holder=self.integration.id)

    async def _held(self, prefix: str, keys: Collection[str] | None = None) -> Mapping[str, Held]:
        """A short read of its own: nothing stays open while the provider is asked."""
        async with self._deps.db.transaction(self.integration.workspace_id) as tx:
            return await sources.held(tx, self._resource_id, prefix, keys)

    async def renew(self, refusal: AuthExpired) -> None:
        """Tells the broker which token was refused, once; a second refusal is the end."""
        if self._renewed or self._token is None:
            raise refusal
        self._renewed = True
        self._token = await self._deps.tokens.get(
            workspace=self.integration.workspace_id,
            integration=self.integration.id,
            refused_version=self._token.version,
        )
        if self.http is not None:
            self._asked |= self.http.asked
        self.http = None

    async def ask(self, question: Callable[[SyncContext], Awaitable[T]]) -> T:
        try:
            return await question(await self.context())
        except AuthExpired as refusal:
            await self.renew(refusal)
            return await question(await self.context())

    async def capture(self, stored: Stored, stream: str, *, code: str, detail: str) -> None:
        """Keeps the answer that came last, when an operator asked for answers that do not fit."""
        token = self._token.token if self._token else ""
        last = self.http.last if self.http else None
        await capture(self._deps, stored, stream, last, code=code, detail=detail, token=token)

    async def capture_unfit(self, stored: Stored, stream: str, unfit: Mapping[str, tuple[str, str]]) -> None:
        for code, detail in list(unfit.values())[:1]:
            await self.capture(stored, stream, code=code, detail=detail)

    def used(self) -> Used:
        """Since the last call; validators until they are settled."""
        return Used(self.spent(), dict(self.http.new_validators) if self.http else {})

    def settle(self, saved: dict[str, str]) -> None:
        """These validators are committed with their page: from now on they may be sent."""
        self._validators |= saved
        if self.http:
            for key in saved:
                self.http.new_validators.pop(key, None)

    def unasked(self) -> frozenset[str]:
        """Stored validators that no request was made with: of addresses that moved on, or of an older token."""
        return self._stored - self._asked - (self.http.asked if self.http else set())

    def spent(self) -> Counts:
        """Requests since the last call."""
        if self.http is None:
            return Counts()
        now = (self.http.requests, self.http.not_modified, self.http.bytes)
        requests, not_modified, size = (new - old for new, old in zip(now, self._counted, strict=True))
        self._counted = now
        return Counts(requests=requests, not_modified=not_modified, bytes=size)
