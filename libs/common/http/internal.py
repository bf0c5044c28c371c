"""Calling another service of ours: JSON in and out, a fresh service token, one trace, the same typed errors."""

from __future__ import annotations

from typing import TypeVar, overload

import msgspec

from libs.common.errors import DependencyDown, ProviderContractBroken, ProviderUnavailable
from libs.common.http.outbound import OutboundClient, Response
from libs.common.http.problems import error_from
from libs.common.security.service_tokens import ServiceTokens
from libs.common.telemetry.tracing import current_traceparent

T = TypeVar("T")


class InternalClient:
    """`base_url` is the other service's address, `audience` its name; the pool is its own (see `for_own`)."""

    def __init__(self, base_url: str, tokens: ServiceTokens, audience: str, client: OutboundClient) -> None:
        self._base_url = base_url.rstrip("/")
        self._tokens = tokens
        self._audience = audience
        self._client = client.for_own(base_url)

    @overload
    async def post(self, path: str, body: object = None, *, response_type: type[T], seconds: float = 10.0) -> T: ...
    @overload
    async def post(self, path: str, body: object = None, *, seconds: float = 10.0) -> None: ...
    async def post(
        self, path: str, body: object = None, *, response_type: type[T] | None = None, seconds: float = 10.0
    ) -> T | None:
        """Raises the other service's own error (AuthExpired, NotFound, …), or DependencyDown when it is away."""
        return _decoded(await self._call("POST", path, body, seconds), response_type)

    async def get(self, path: str, *, response_type: type[T], seconds: float = 10.0) -> T:
        """As `post`; `path` holds no secret, because paths are logged."""
        found = _decoded(await self._call("GET", path, None, seconds), response_type)
        if found is None:
            raise DependencyDown(f"{self._audience} answered nothing")
        return found

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _call(self, method: str, path: str, body: object, seconds: float) -> Response:
        headers = {"authorization": f"Bearer {self._tokens.issue(self._audience)}", "accept": "application/json"}
        if traceparent := current_traceparent():
            headers["traceparent"] = traceparent
        try:
            response = await self._client.request(
                method, self._base_url + path, headers=headers, json=body, timeout=seconds
            )
        except (ProviderUnavailable, ProviderContractBroken) as error:
            raise DependencyDown(f"{self._audience}: {error.detail}") from None
        if response.status >= 300:
            raise error_from(response.status, response.headers, response.body)
        return response


def _decoded(response: Response, kind: type[T] | None) -> T | None:
    if kind is None:
        return None
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.DecodeError, RecursionError):
        raise DependencyDown("a service answered in an unexpected shape") from None
