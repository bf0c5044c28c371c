"""One grant's view of its provider: the token stays inside, validators and budgets are noted on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from urllib.parse import urlencode, urljoin, urlsplit

from libs.common.provider.client import Budget, HttpAnswer
from libs.common.provider.gate import Gate
from libs.common.provider.manifest import Manifest
from libs.common.settings import require_secure


class Response(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def url(self) -> str: ...


class Outbound(Protocol):
    """The part of OutboundClient that a grant needs."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        follow: bool = True,
        largest_body: int | None = None,
    ) -> Response: ...


def provider_urls(manifest: Manifest, environ: Mapping[str, str]) -> tuple[str, str]:
    """(api_url, base_url): <PROVIDER>_API_URL and <PROVIDER>_BASE_URL, else the manifest's.

    With another base alone, the API is where the manifest says that such an installation has it.
    """
    prefix = manifest.id.upper()
    base_url = (environ.get(f"{prefix}_BASE_URL") or manifest.base_url).rstrip("/")
    api_url = environ.get(f"{prefix}_API_URL") or _api_of(manifest, base_url)
    return api_url.rstrip("/"), base_url


def check_addresses(manifests: Iterable[Manifest], environ: Mapping[str, str]) -> None:
    """Outside loopback another installation is https too: tokens go there. Raises ConfigurationError by variable."""
    for manifest in manifests:
        for variable in (f"{manifest.id.upper()}_BASE_URL", f"{manifest.id.upper()}_API_URL"):
            if environ.get(variable):
                require_secure(variable, environ[variable])


def _api_of(manifest: Manifest, base_url: str) -> str:
    if base_url == manifest.base_url.rstrip("/"):
        return manifest.api_url
    host = urlsplit(base_url).netloc
    fitting = (one.api_url for one in manifest.api_hosts if host.endswith(one.host_suffix))
    return next(fitting, manifest.api_url).format(base=base_url, host=host)


class GrantedHttp:
    """Implements ProviderHttp. `validators` maps a URL's key to its ETag, or to its Last-Modified where there is none,
    as kept with the last committed page.

    `new_validators` holds what this use learned: save it in the transaction of the page it belongs to.
    With a `gate` every request waits for its budget, and the `client` must not repeat any by itself.
    `last` is the answer that came last; `asked` are the keys of the URLs that were asked conditionally.
    """

    def __init__(
        self,
        client: Outbound,
        *,
        api_url: str,
        base_url: str,
        token: str = "",
        validators: Mapping[str, str] | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.gate = gate
        self.api_url = api_url
        self.base_url = base_url
        self.new_validators: dict[str, str] = {}
        self.asked: set[str] = set()
        self.requests = 0
        self.not_modified = 0
        self.bytes = 0
        self.budget: Budget | None = None
        self.last: HttpAnswer | None = None
        self._client = client
        self._token = token
        self._validators = dict(validators or {})

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        conditional: str = "",
        authorized: bool = True,
        follow: bool = True,
        largest_body: int | None = None,
    ) -> HttpAnswer:
        target = self._absolute(url, params)
        key = self._validator_key(conditional, target)
        sent = dict(headers or {})
        if authorized and self._token and self._is_ours(target):
            sent["authorization"] = f"Bearer {self._token}"
        if conditional:
            self.asked.add(key)
        if conditional and key in self._validators:
            kept = self._validators[key]
            sent["if-none-match" if kept.endswith('"') else "if-modified-since"] = kept

        async def send() -> Response:
            self.requests += 1
            if follow and largest_body is None:
                return await self._client.request(method, target, headers=sent, content=body)
            return await self._client.request(
                method, target, headers=sent, content=body, follow=follow, largest_body=largest_body
            )

        answer = await (self.gate.call(method, target, send) if self.gate else send())
        return self._note(answer, key if conditional else None)

    def disbelieve(self, url: str, *, conditional: str) -> None:
        key = self._validator_key(conditional, self._absolute(url, None))
        for kept in (self._validators, self.new_validators):
            kept.pop(key, None)

    def note_budget(self, budget: Budget) -> None:
        self.budget = budget
        if self.gate:
            self.gate.note_budget(budget)

    def note_limit(self, until: datetime) -> None:
        if self.gate:
            self.gate.note_limit(until)

    def _note(self, answer: Response, validator_key: str | None) -> HttpAnswer:
        self.bytes += len(answer.body)
        self.not_modified += answer.status == 304
        headers = {name.lower(): value for name, value in answer.headers.items()}
        validator = headers.get("etag") or headers.get("last-modified")
        if validator_key and answer.status == 200 and validator:
            self._validators[validator_key] = self.new_validators[validator_key] = validator
        self.last = HttpAnswer(status=answer.status, headers=headers, body=answer.body, url=answer.url)
        return self.last

    def _absolute(self, url: str, params: Mapping[str, str] | None) -> str:
        target = url if urlsplit(url).scheme else f"{self.api_url}{url}"
        return f"{target}?{urlencode(params)}" if params else target

    def _is_ours(self, url: str) -> bool:
        """The token is sent to the API's own origin only, wherever a link may point."""
        return urlsplit(urljoin(url, "/"))[:2] == urlsplit(urljoin(self.api_url, "/"))[:2]

    def _validator_key(self, reader: str, url: str) -> str:
        """Bound to the token as well: what two grants may see differs (RFC 9110 section 12.5.5, Vary)."""
        return sha256(f"{self._token}\n{reader}\n{url}".encode()).hexdigest()[:32]
