"""The providers as auth sees them: what the catalogue tells, and the one question to each: whose grant is this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal

import msgspec

from libs.common.errors import (
    GrantFailure,
    InvalidInput,
    ProviderContractBroken,
    ProviderUnavailable,
    RetryAfter,
    SightFailure,
)
from libs.common.http.client import AddressRefused
from libs.common.provider.auth import Account, AuthFacet, ClientRegistration, TokenAnswer
from libs.common.provider.http import GrantedHttp, Outbound, provider_urls
from libs.common.provider.manifest import Manifest
from libs.common.provider.window import SINCE, read_since
from libs.providers import registry
from services.auth.domain.integration import CredentialKind
from services.auth.domain.refusals import ProviderPlanned, TokenRefused
from services.auth.registrations import Registrations

CHECK_SECONDS = 20.0


class ConnectWay(msgspec.Struct, frozen=True, kw_only=True):
    """One way to connect; `missing` names the variables that an operator has yet to set."""

    kind: Literal["oauth", "token", "url"]
    missing: tuple[str, ...]


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider is asked with. `url` is the site's own address where a provider is connected by URL.

    `expires_at` None is unknown.
    """

    token: str
    url: str = ""
    kind: CredentialKind = "token"
    refresh_token: str = ""
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Grant(url={self.url!r})"


def auth_facet(provider_id: str) -> AuthFacet:
    return registry.facet(provider_id, "auth")


class Providers:
    """Everything outside comes in here, so that a test can bring a provider of its own."""

    def __init__(
        self,
        *,
        client: Outbound,
        environ: Mapping[str, str],
        manifests: Callable[[], Mapping[str, Manifest]] = registry.manifests,
        find: Callable[[str], Manifest] = registry.manifest,
        facet: Callable[[str], AuthFacet] = auth_facet,
    ) -> None:
        self._client = client
        self.registrations = Registrations(environ)
        self._environ = environ
        self._manifests = manifests
        self._find = find
        self._facet = facet

    def all(self) -> list[Manifest]:
        return list(self._manifests().values())

    def available(self, name: str) -> Manifest:
        """Raises NotFound for an unknown provider and ProviderPlanned for one that cannot be connected yet."""
        manifest = self._find(name)
        if manifest.status != "available":
            raise ProviderPlanned(f"{manifest.name} is planned and cannot be connected yet", pointer="/provider")
        return manifest

    def facet(self, manifest: Manifest) -> AuthFacet:
        return self._facet(manifest.id)

    def clean_config(self, manifest: Manifest, config: dict[str, Any], now: datetime) -> dict[str, Any]:
        """`since` means the same for all; the rest is the provider's. Raises InvalidInput with a pointer."""
        since = read_since(config.get(SINCE), manifest, now=now, pointer=f"/config/{SINCE}")
        own = self.facet(manifest).validate_config({name: config[name] for name in config if name != SINCE})
        return own | ({SINCE: since.isoformat()} if since else {})

    def known(self, provider_id: str) -> Manifest:
        return self._find(provider_id)

    def ways(self, manifest: Manifest) -> list[ConnectWay]:
        needed = {"oauth": self.registrations.missing(manifest)}
        return [ConnectWay(kind=kind, missing=needed.get(kind, ())) for kind in manifest.connect]

    async def whose(self, manifest: Manifest, grant: Grant) -> Account:
        """Asks the provider, with no transaction open. Raises as the facet does: AuthRevoked, ProviderUnavailable, …"""
        api_url, base_url = (grant.url, grant.url) if grant.url else provider_urls(manifest, self._environ)
        http = GrantedHttp(self._client, api_url=api_url, base_url=base_url, token=grant.token)
        async with _in_time(manifest):
            return await self._facet(manifest.id).check(http)

    async def exchange(
        self, manifest: Manifest, registration: ClientRegistration, *, code: str, verifier: str
    ) -> TokenAnswer:
        """One token request, never repeated: a code that was sent twice is a code that leaked (RFC 6749 4.1.2)."""
        async with _in_time(manifest):
            return await self._facet(manifest.id).exchange(
                self._as_client(registration), registration, code=code, code_verifier=verifier
            )

    async def revoke(self, manifest: Manifest, token: str) -> None:
        registration = self.registrations.client(manifest)
        async with _in_time(manifest):
            await self._facet(manifest.id).revoke(self._as_client(registration), registration, token=token)

    def _as_client(self, registration: ClientRegistration) -> GrantedHttp:
        """Without a grant: the registration's own credentials are all that is sent."""
        return GrantedHttp(self._client, api_url=registration.api_url, base_url=registration.base_url)

    async def accept(self, manifest: Manifest, grant: Grant) -> Account:
        """As `whose`, for a grant that the caller has just sent: a refusal is a mistake in the request."""
        where = "/token" if grant.token else "/url"
        try:
            return await self.whose(manifest, grant)
        except GrantFailure:
            raise TokenRefused(
                f"{manifest.name} refuses this token; make a new one and send it", pointer=where
            ) from None
        except SightFailure as error:
            raise InvalidInput(f"{manifest.name}: {error.detail}", pointer=where) from None
        except AddressRefused as error:
            raise AddressRefused(error.detail, pointer="/url" if grant.url else None) from None


@asynccontextmanager
async def _in_time(manifest: Manifest) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            yield
    except TimeoutError:
        raise ProviderUnavailable(f"{manifest.name} did not answer in {CHECK_SECONDS:g} s; try again") from None


INDETERMINATE = (ProviderUnavailable, RetryAfter, ProviderContractBroken, SightFailure)
