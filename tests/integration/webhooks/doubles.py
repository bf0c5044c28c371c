"""What webhooks talks to in these tests: a provider's hooks API with its own memory, and auth's token broker."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from libs.common.errors import SluiceError
from libs.common.internal import AccessToken
from libs.common.provider.client import Budget, HttpAnswer, ProviderHttp
from libs.common.provider.manifest import Manifest

# Long ago: what is due by this clock is due by the database's as well.
NOW = datetime(2024, 1, 1, 12, 0, tzinfo=UTC)


class HooksApi:
    """GitHub's repository hooks: POST refuses a second hook with one URL, secrets are written and never told."""

    api_url = "https://api.github.com"
    base_url = "https://github.com"
    budget: Budget | None = None

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.hooks: dict[int, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.refuse_with: int | None = None
        self.wait: SluiceError | None = None
        self._last = 100

    def granted(self, manifest: Manifest, token: AccessToken, **_: str) -> ProviderHttp:
        return self

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        conditional: bool = False,
        authorized: bool = True,
    ) -> HttpAnswer:
        if self.wait is not None:
            raise self.wait
        self.asked.append((method, url))
        if self.refuse_with is not None:
            return _answer(self.refuse_with, {"message": "no"}, url)
        return self._answer(method, url, {} if body is None else msgspec.json.decode(body))

    def note_budget(self, budget: Budget) -> None:
        """Nothing here counts budgets."""

    def note_limit(self, until: datetime) -> None:
        """Nobody else calls with this account."""

    def _answer(self, method: str, url: str, sent: dict[str, Any]) -> HttpAnswer:
        last = url.rsplit("/", 1)[1]
        hook_id = int(last) if last.isdecimal() else 0
        if method == "GET" and hook_id:
            return _answer(200 if hook_id in self.hooks else 404, {}, url)
        if method == "GET":
            return _answer(200, [{"id": key, "config": {"url": hook["url"]}} for key, hook in self.hooks.items()], url)
        if method == "DELETE":
            return _answer(204 if self.hooks.pop(hook_id, None) else 404, {}, url)
        config = sent["config"]
        if method == "POST":
            if any(hook["url"] == config["url"] for hook in self.hooks.values()):
                return _answer(422, {"message": "Validation Failed"}, url)
            self._last += 1
            hook_id = self._last
        self.hooks[hook_id] = {"url": config["url"], "secret": config["secret"]}
        return _answer(201, {"id": hook_id, "config": {"url": config["url"]}}, url)


class Lender:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.purposes: list[str] = []
        self.refused: list[int | None] = []
        self.error: SluiceError | None = None

    async def lend(
        self, workspace: str, integration_id: str, *, teardown: bool, refused_version: int | None = None
    ) -> AccessToken:
        self.purposes.append("teardown" if teardown else "hooks")
        self.refused.append(refused_version)
        if self.error is not None:
            raise self.error
        return AccessToken(token="t", version=len(self.purposes), expires_at=None, provider="github", config={})


def _answer(status: int, body: object, url: str) -> HttpAnswer:
    return HttpAnswer(status=status, headers={}, body=msgspec.json.encode(body), url=url)
