"""The client's way out: opensearch-py makes the requests, our guarded client alone sends them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from opensearchpy import AsyncOpenSearch
from opensearchpy._async.http_aiohttp import AsyncConnection

from libs.common.errors import DependencyDown, PassingFailure, ProviderContractBroken
from libs.common.http.client import AddressRefused, OutboundClient

LARGEST_ANSWER = 64 * 1024 * 1024


class GuardedConnection(AsyncConnection):
    """A connection as opensearch-py wants one. Raises its TransportError for an answer that is an error."""

    def __init__(self, *, outbound: OutboundClient, authorization: str, **place: Any) -> None:
        super().__init__(**place)
        self._outbound = outbound
        self._headers = {"authorization": authorization} if authorization else {}

    async def perform_request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
        ignore: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], str]:
        query = f"?{urlencode(params)}" if params else ""
        try:
            answer = await self._outbound.request(
                method, f"{self.host}{self.url_prefix}{url}{query}", content=body, timeout=timeout or self.timeout,
                headers={**self.headers, **dict(headers or {}), **self._headers}, largest_body=LARGEST_ANSWER,
            )  # fmt: skip
        except (PassingFailure, ProviderContractBroken, AddressRefused) as error:
            raise DependencyDown(f"OpenSearch: {error.detail}") from None
        if not 200 <= answer.status < 300 and answer.status not in ignore:
            self._raise_error(answer.status, answer.text, answer.headers.get("content-type"))
        return answer.status, answer.headers, answer.text

    async def close(self) -> None:
        """Whoever made the outbound client closes it."""


def connect(url: str, user: str, password: str, outbound: OutboundClient) -> AsyncOpenSearch:
    """A failure is told at once: a search answers rather than waits, and a worker has its own pauses."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    pair = b64encode(f"{user}:{password}".encode()).decode()
    return AsyncOpenSearch(
        hosts=[{
            "host": parts.hostname, "port": parts.port or (443 if secure else 80), "use_ssl": secure,
            "url_prefix": parts.path.rstrip("/"),
        }],
        connection_class=GuardedConnection, outbound=outbound, authorization=f"Basic {pair}" if user else "",
        max_retries=0, timeout=5,
    )  # fmt: skip
