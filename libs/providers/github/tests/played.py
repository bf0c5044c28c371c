"""GitHub's sync facet driven against the played GitHub: a copy kept the way the engine keeps one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from libs.common.clock import SystemClock
from libs.common.provider.http import GrantedHttp
from libs.common.provider.sync import (
    Certificate,
    Cursor,
    Gone,
    Held,
    Listed,
    Observed,
    Page,
    PartSeen,
    Pushed,
    Quarantined,
    Removed,
    Resource,
    SyncContext,
)
from libs.common.testing.answered import Answered
from libs.providers.github.sandbox import GithubStandIn
from libs.providers.github.sync import FACET
from libs.sandbox.app import Sandbox

HOST = "http://played.invalid"
TOKEN = "ghp_sandbox"
FEATURES = ("issues", "prs", "repositories", "code")
STREAMS = ("repository", "issues", "comments", "review_comments", "code")


class Wire:
    """The outbound client's shape over an in-process sandbox; redirects are followed as the real one follows them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=sandbox), base_url=HOST, follow_redirects=True
        )
        self.asked: list[str] = []

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answered:
        self.asked.append(url.removeprefix(f"{HOST}/github/api"))
        answer = await self.client.request(method, url, headers=dict(headers or {}), content=content)
        return Answered(answer.status_code, answer.headers, answer.content, str(answer.url))


@dataclass
class Copy:
    """What an engine would hold: objects by key, parts by parent, cursors and validators by stream."""

    wire: Wire
    objects: dict[str, Observed] = field(default_factory=dict)
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    validators: dict[str, str] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    pushes: list[Pushed] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    resource: Resource | None = None
    http: GrantedHttp | None = None

    def context(
        self, *, full: bool = False, hinted: bool = False, features: tuple[str, ...] = FEATURES, token: str = TOKEN
    ) -> SyncContext:
        self.http = GrantedHttp(
            self.wire,
            api_url=f"{HOST}/github/api",
            base_url=f"{HOST}/github",
            token=token,
            validators=self.validators,
        )
        return SyncContext(
            http=self.http, clock=SystemClock(), config={}, features=features, resource=self.resource, full=full,
            hinted=hinted, held=self.held,
        )  # fmt: skip

    async def held(self, prefix: str, keys: Collection[str] | None = None) -> dict[str, Held]:
        found = {key: one for key, one in self.objects.items() if key.startswith(prefix)}
        return {key: Held(one.revision, one.metadata) for key, one in found.items() if keys is None or key in keys}

    async def select(self, name: str = "sluice/sluice") -> None:
        self.resource = await FACET.find(self.context(), name)

    async def pull(
        self, stream: str, *, full: bool = False, hinted: bool = False, stop_after: int | None = None
    ) -> int:
        """Applies pages to the end, or leaves after `stop_after` of them as a killed owner would; answers pages."""
        ctx = self.context(full=full, hinted=hinted)
        seen: set[str] = set()
        pages = 0
        async for page in FACET.pull(ctx, stream, self.cursors.get(stream)):
            await self._apply(ctx, stream, page, seen)
            pages += 1
            if pages == stop_after:
                break
        return pages

    async def _apply(self, ctx: SyncContext, stream: str, page: Page, seen: set[str]) -> None:
        for item in page.items:
            if isinstance(item, Listed | Observed):
                seen.add(item.key)
            await self._take(ctx, item)
        if page.certificate:
            self.certificates.append(page.certificate)
            self._sweep(page.certificate, seen)
        self.cursors[stream] = page.cursor
        self.resource = page.resource or self.resource
        self.validators |= ctx.http.new_validators  # type: ignore[attr-defined]

    async def _take(self, ctx: SyncContext, item: Any) -> None:
        if isinstance(item, Listed):
            known = self.objects.pop(item.previous_key, None) if item.previous_key else self.objects.get(item.key)
            if known is None or known.revision != item.revision or item.previous_key:
                await self._take(ctx, (await FACET.fetch(ctx, [item]))[0])
        elif isinstance(item, Observed):
            self.objects[item.key] = item
            for part in item.parts or ():
                self.parts.setdefault(item.key, {})[part.key] = part.body
        elif isinstance(item, PartSeen):
            self.parts.setdefault(item.parent_key, {})[item.part.key] = item.part.body
        elif isinstance(item, Pushed):
            self.pushes.append(item)
        elif isinstance(item, Removed | Gone):
            self.objects.pop(item.key, None)
        else:
            self.quarantined.append(item)

    def _sweep(self, certificate: Certificate, seen: set[str]) -> None:
        if certificate.complete:
            for key in [key for key in self.objects if key.startswith(certificate.scopes) and key not in seen]:
                del self.objects[key]

    def keys(self, prefix: str) -> set[str]:
        return {key for key in self.objects if key.startswith(prefix)}


def open_sandbox(root: Path, state: Path) -> Sandbox:
    return Sandbox(root, state, {"github": GithubStandIn})


class Played:
    def __init__(self, sandbox: Sandbox) -> None:
        self.copy = Copy(Wire(sandbox))

    async def control(self, route: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        answer = await self.copy.wire.client.request(method, f"/_control/github/{route}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def truth(self) -> dict[str, Any]:
        """The repository that the copy follows, by its id."""
        assert self.copy.resource is not None
        every = (await self.control("truth", None, "GET"))["repositories"]
        return next(found for found in every if str(found["id"]) == self.copy.resource.external_id)

    async def change(self, **change: Any) -> None:
        await self.control("change", change)

    async def sync(self) -> None:
        for stream in STREAMS:
            await self.copy.pull(stream)


async def assert_equals_truth(played: Played) -> None:
    truth, copy = await played.truth(), played.copy
    assert copy.keys("issue:") == {f"issue:{issue['number']}" for issue in truth["issues"]}
    assert copy.keys("pull_request:") == {f"pull_request:{pull['number']}" for pull in truth["pulls"]}
    await assert_files_equal_truth(played)


async def assert_files_equal_truth(played: Played) -> None:
    truth, copy = await played.truth(), played.copy
    files = {f"file:{file['path']}": file["sha"] for file in truth["files"] if file["mode"] != "120000"}
    assert {key: copy.objects[key].revision for key in copy.keys("file:")} == files
