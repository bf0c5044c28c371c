"""The sync facet driven against the served site: a copy kept by the engine's rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.common.clock import SystemClock
from libs.common.provider.http import GrantedHttp
from libs.common.provider.sync import (
    Certificate,
    Cursor,
    Held,
    Listed,
    Observed,
    Page,
    Quarantined,
    Removed,
    Resource,
    SyncContext,
)
from libs.providers.docusaurus.sync import FACET
from libs.providers.docusaurus.tests.served import SITE, Served


@dataclass
class Copy:
    """`objects` by key, `told` the changes of the last pull as (change, key). `believes` certificates, or holds all."""

    site: Served
    config: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, Observed] = field(default_factory=dict)
    validators: dict[str, str] = field(default_factory=dict)
    cursor: Cursor | None = None
    resource: Resource | None = None
    told: list[tuple[str, str]] = field(default_factory=list)
    quarantined: dict[str, Quarantined] = field(default_factory=dict)
    certificate: Certificate | None = None
    proofs: dict[str, str] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)
    believes: bool = True

    def context(self, *, full: bool = False) -> SyncContext:
        http = GrantedHttp(self.site, api_url="", base_url="", validators=self.validators)
        config = {"url": SITE, **self.config}
        return SyncContext(
            http=http, clock=SystemClock(), config=config, features=("pages",), resource=self.resource, full=full,
            held=self._held,
        )  # fmt: skip

    async def _held(self, prefix: str, keys: Collection[str] | None = None) -> Mapping[str, Held]:
        return {
            key: Held(one.revision, one.metadata)
            for key, one in self.objects.items()
            if key.startswith(prefix) and (keys is None or key in keys)
        }

    async def select(self, url: str = SITE) -> None:
        self.resource = await FACET.find(self.context(), url)

    async def pull(self, *, full: bool = False, pages: int | None = None) -> list[Page]:
        """To the end, or to the end of `pages` pages as an owner that dies there."""
        if self.resource is None:
            await self.select()
        context = self.context(full=full)
        self.told, self.certificate = [], None
        taken: list[Page] = []
        async for page in FACET.pull(context, "pages", self.cursor):
            assert page.full_listing is not None
            self._apply(page, self.seen.setdefault(page.full_listing, set()))
            self.cursor = page.cursor
            self.validators |= context.http.new_validators  # type: ignore[attr-defined]
            taken.append(page)
            if len(taken) == pages:
                break
        return taken

    def _apply(self, page: Page, seen: set[str]) -> None:
        for item in page.items:
            if isinstance(item, Observed):
                self._observe(item)
            elif isinstance(item, Removed):
                self._remove(item.key, item.proof)
            elif isinstance(item, Quarantined):
                self.quarantined[item.key] = item
            else:
                assert isinstance(item, Listed)
                assert self.objects[item.key].revision == item.revision
            if not isinstance(item, Removed):
                seen.add(item.key)
        if page.certificate is not None:
            self.certificate = page.certificate
        if self.believes and page.certificate is not None and page.certificate.complete:
            for key in set(self.objects) - seen:
                self._remove(key, "not in a complete listing")

    def _observe(self, item: Observed) -> None:
        before = self.objects.pop(item.previous_key, None) if item.previous_key else self.objects.get(item.key)
        if before is None:
            self.told.append(("created", item.key))
        elif item.previous_key:
            self.told.append(("renamed", item.key))
        elif (before.content, before.name, before.url) != (item.content, item.name, item.url):
            self.told.append(("updated", item.key))
        self.objects[item.key] = item

    def _remove(self, key: str, proof: str) -> None:
        if self.objects.pop(key, None) is not None:
            self.told.append(("deleted", key))
            self.proofs[key] = proof

    @property
    def paths(self) -> set[str]:
        """Inside the mount, as the sandbox's truth names them."""
        return {key.removeprefix("page:/docusaurus") or "/" for key in self.objects}


def expected(truth: Mapping[str, Mapping[str, Any]], *, unreleased: bool = False) -> set[str]:
    """What a reader of the released version finds: listed documents that may be indexed."""
    return {
        path
        for path, page in truth.items()
        if page["listed"] and not page["hidden"] and (unreleased or not path.startswith("/docs/next"))
        if not (path.startswith("/blog") and not path.startswith("/blog/2026")) and "/category/" not in path
    }  # fmt: skip
