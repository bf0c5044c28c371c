"""The one import for "who is calling": the types, and the resolvers that every service chains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import sha256
from pathlib import Path

from libs.common.errors import Unauthenticated
from libs.common.security.callers import ADMIN, INTERNAL, CallerResolver, Principal, bearer, resolve_caller
from libs.common.security.client_tokens import CLIENT_SCOPES, ClientTokenResolver, ClientTokens
from libs.common.security.service_tokens import ServiceTokenResolver, ServiceTokens, make_service_keys
from libs.common.security.signing import constant_time_equal
from libs.common.settings import CommonSettings

__all__ = [
    "ADMIN",
    "CLIENT_SCOPES",
    "INTERNAL",
    "ApiKeyResolver",
    "CallerResolver",
    "ChainResolver",
    "ClientTokenResolver",
    "ClientTokens",
    "Principal",
    "ServiceTokenResolver",
    "ServiceTokens",
    "bearer",
    "every_caller",
    "make_service_keys",
    "resolve_caller",
]


class ApiKeyResolver:
    """Knows API keys by the SHA-256 (hex) of the key only."""

    def __init__(self, hashes: Collection[str]) -> None:
        self._hashes = [text.strip().lower().encode() for text in hashes if text.strip()]

    def resolve(self, authorization: str | None) -> Principal:
        digest = sha256(bearer(authorization).encode("utf-8", "surrogatepass")).hexdigest().encode()
        matches = [constant_time_equal(digest, known) for known in self._hashes]
        if not any(matches):
            raise Unauthenticated
        subject = f"key:{digest[:12].decode()}"
        return Principal(subject=subject, workspace=None, scopes=frozenset({ADMIN}), method="api_key")


class ChainResolver:
    """The first resolver that recognises the caller wins; each says Unauthenticated for what is not its kind."""

    def __init__(self, resolvers: Sequence[CallerResolver]) -> None:
        self._resolvers = tuple(resolvers)

    async def resolve(self, authorization: str | None) -> Principal:
        for resolver in self._resolvers:
            try:
                return await resolve_caller(resolver, authorization)
            except Unauthenticated:
                continue
        raise Unauthenticated


def every_caller(
    settings: CommonSettings, *, services: ServiceTokens | None, clients: ClientTokens | None = None
) -> ChainResolver:
    """Whoever may call a service: other services of ours, the pages of the application, and the application itself."""
    known: list[CallerResolver] = [] if services is None else [ServiceTokenResolver(services)]
    pages = ClientTokenResolver(clients or ClientTokens(Path(settings.service_signing_keys_dir)))
    return ChainResolver([*known, pages, ApiKeyResolver([settings.bootstrap_api_key_sha256])])
