"""The one client that calls out: address guard, bounded bodies, bounded time, retries of what may be repeated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import TypeVar
from urllib.parse import urlencode

import httpcore
import httpx
import msgspec
from opentelemetry.trace import SpanKind
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

from libs.common.errors import ProviderContractBroken, ProviderUnavailable
from libs.common.http.addresses import AddressRefused, GuardedBackend, Resolver, endpoint, resolve
from libs.common.http.bodies import ACCEPTED, read_body
from libs.common.http.trust import trust_nobody
from libs.common.telemetry.metrics import counter, histogram
from libs.common.telemetry.tracing import span

T = TypeVar("T")

LARGEST_BODY = 32 * 1024 * 1024
MOST_REDIRECTS = 5
CONNECT: Mapping[str, Mapping[str, float]] = {"timeout": {"connect": 10.0}}
ATTEMPTS = 3
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
AGAIN = frozenset({502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What may follow a redirect to another origin. Everything else could be a credential under a provider's own name.
FOLLOWS_ANYWHERE = frozenset({"accept", "accept-language", "if-none-match", "if-modified-since", "range"})

_requests = counter("outbound_requests_total", "Requests to other hosts", ["method", "outcome"])
_seconds = histogram("outbound_request_seconds", "Seconds of one request to another host", ["method"])


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer read whole. `headers` looks names up in any case; `url` is where the answer came from."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str
    elapsed: float

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self, kind: type[T]) -> T:
        """Raises ProviderContractBroken when the body does not have the shape of `kind`."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProviderContractBroken(_shape_of(error)) from None


class _NotYet(Exception):
    """An attempt that may be repeated; holds what to answer or raise if it was the last one."""

    def __init__(self, response: Response | None = None, error: ProviderUnavailable | None = None) -> None:
        self.response = response
        self.error = error


class OutboundClient:
    """Owns a connection pool: make one per process, `aclose()` at the end.

    `allowed_private_endpoints` are exact "host:port"; every other address must be global unicast when connected to.
    """

    def __init__(
        self,
        allowed_private_endpoints: Collection[str] = (),
        user_agent: str = "sluice",
        *,
        largest_body: int = LARGEST_BODY,
        attempts: int = ATTEMPTS,
        resolver: Resolver = resolve,
        backoff: wait_base | None = None,
        connections: int = 100,
    ) -> None:
        self._allowed = frozenset(text.lower() for text in allowed_private_endpoints)
        self._user_agent = user_agent
        self._largest_body = largest_body
        self._attempts = attempts
        self._backoff = backoff or wait_random_exponential(multiplier=0.2, max=5)
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections // 2)
        self._transport = _GuardedTransport(GuardedBackend(self._allowed, resolver), limits)
        self._headers = {"accept": "*/*", "accept-encoding": ACCEPTED, "user-agent": user_agent}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float = 30.0,
        retries: int | None = None,
        largest_body: int | None = None,
        follow: bool = True,
    ) -> Response:
        """Any status is an answer; without `follow` a redirect is one too.

        `timeout` bounds everything: retries, redirects and the body.

        Connection failures and 502, 503, 504 are tried again for idempotent methods, `retries` times at most (default
        two). Raises AddressRefused, ProviderUnavailable (no answer came) or ProviderContractBroken (endless or broken
        body); none of their texts holds more of the URL than its host.
        """
        call = _Call(method.upper(), _parse(url, params), _headers(headers), content, follow=follow)
        call.encode(json, form)
        limit = self._largest_body if largest_body is None else largest_body
        attempts = self._attempts if retries is None else retries + 1
        with span("http.out", kind=SpanKind.CLIENT) as current:
            current.set_attribute("http.request.method", call.method)
            current.set_attribute("server.address", call.url.host)
            response = await self._in_time(call, timeout, attempts, limit)
            current.set_attribute("http.response.status_code", response.status)
            return response

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> OutboundClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def for_own(self, base_url: str) -> OutboundClient:
        """A client of its own pool that reaches `base_url` and nothing else private: for our services' own addresses.

        Its pool is separate, because a connection opened here must never serve a URL that somebody typed.
        """
        own = _parse(base_url, None)
        return OutboundClient([endpoint(own.host, _port(own))], self._user_agent, attempts=self._attempts)

    async def _in_time(self, call: _Call, seconds: float, attempts: int, largest: int) -> Response:
        started = time.monotonic()
        outcome = "failed"
        try:
            async with asyncio.timeout(seconds):
                response = await self._with_retries(call, attempts, largest)
            outcome = f"{response.status // 100}xx"
            return response
        except TimeoutError:
            raise ProviderUnavailable(f"{call.url.host} did not answer in {seconds:g} s") from None
        finally:
            _requests.labels(call.method, outcome).inc()
            _seconds.labels(call.method).observe(time.monotonic() - started)

    async def _with_retries(self, call: _Call, attempts: int, largest: int) -> Response:
        try:
            if attempts <= 1 or call.method not in IDEMPOTENT:
                return await self._attempt(call, largest)
            retrying = AsyncRetrying(
                stop=stop_after_attempt(attempts),
                wait=self._backoff,
                retry=retry_if_exception_type(_NotYet),
                reraise=True,
            )
            return await retrying(self._attempt, call, largest)
        except _NotYet as last:
            if last.response is not None:
                return last.response
            raise last.error or ProviderUnavailable from None

    async def _attempt(self, call: _Call, largest: int) -> Response:
        hop = call
        for _ in range(MOST_REDIRECTS + 1):
            response = await self._hop(hop, largest)
            if response.status in AGAIN:
                raise _NotYet(response=response)
            following = hop.redirected(response)
            if following is None:
                return response
            hop = following
        raise ProviderContractBroken(f"{call.url.host} redirects more than {MOST_REDIRECTS} times")

    async def _hop(self, call: _Call, largest: int) -> Response:
        """Straight to the transport: a client's cookies, redirects and credentials are what no grant may share."""
        started = time.monotonic()
        headers = httpx.Headers({**self._headers, **call.headers})
        request = httpx.Request(call.method, call.url, headers=headers, content=call.content, extensions=CONNECT)
        try:
            async with _closing(await self._transport.handle_async_request(request)) as answer:
                body = await read_body(answer.aiter_raw(), answer.headers.get("content-encoding", ""), largest)
        except httpx.TransportError as error:
            raise _NotYet(error=_unavailable(call, error)) from None
        return Response(
            status=answer.status_code,
            headers=answer.headers,
            body=body,
            url=str(call.url),
            elapsed=time.monotonic() - started,
        )


class _Call:
    """One request on its way through redirects."""

    def __init__(
        self, method: str, url: httpx.URL, headers: httpx.Headers, content: bytes | None, *, follow: bool = True
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.content = content
        self.follow = follow

    def encode(self, json: object, form: Mapping[str, str] | None) -> None:
        if json is not None:
            self.content = msgspec.json.encode(json)
            self.headers.setdefault("content-type", "application/json")
        elif form is not None:
            self.content = urlencode(form).encode()
            self.headers.setdefault("content-type", "application/x-www-form-urlencoded")

    def redirected(self, response: Response) -> _Call | None:
        """The next hop, or None. Credentials and bodies stay with the origin that they were meant for."""
        location = response.headers.get("location")
        if response.status not in REDIRECTS or not location or not self.follow:
            return None
        url = _parse_redirect(self.url, location)
        if self.url.scheme == "https" and url.scheme != "https":
            raise AddressRefused("a redirect from https to http is not followed")
        same_origin = (url.scheme, url.host, _port(url)) == (self.url.scheme, self.url.host, _port(self.url))
        keeps_body = response.status in (307, 308) or self.method in ("GET", "HEAD")
        if self.content and keeps_body and not same_origin:
            raise AddressRefused("a redirect would carry the body to another host")
        headers = httpx.Headers(self.headers) if same_origin else _only_harmless(self.headers)
        if keeps_body:
            return _Call(self.method, url, headers, self.content)
        headers.pop("content-type", None)
        return _Call("GET", url, headers, None)


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx has no public way to give its pool a network backend; the pool is httpcore's public class."""

    def __init__(self, backend: GuardedBackend, limits: httpx.Limits) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust_nobody(),  # the backend's streams bring whom to trust
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend,
        )


class _closing:
    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    async def __aenter__(self) -> httpx.Response:
        return self._answer

    async def __aexit__(self, *_: object) -> None:
        await self._answer.aclose()


def _parse(url: str, params: Mapping[str, str] | None) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise AddressRefused("not a URL that can be called") from None
    _check(parsed)
    return parsed.copy_merge_params(dict(params)) if params else parsed


def _parse_redirect(current: httpx.URL, location: str) -> httpx.URL:
    try:
        url = current.join(location)
    except (httpx.InvalidURL, UnicodeError):
        raise AddressRefused("a redirect leads to something that is not a URL") from None
    _check(url)
    return url


def _check(url: httpx.URL) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressRefused("only http and https are called")
    if url.userinfo:
        raise AddressRefused("a URL with a user name in it is not called")


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _headers(given: Mapping[str, str] | None) -> httpx.Headers:
    """Content-coding is ours to ask for: the reader knows gzip and deflate only."""
    headers = httpx.Headers(dict(given or {}))
    headers.pop("accept-encoding", None)
    return headers


def _only_harmless(headers: httpx.Headers) -> httpx.Headers:
    return httpx.Headers({name: value for name, value in headers.items() if name.lower() in FOLLOWS_ANYWHERE})


def _unavailable(call: _Call, error: httpx.TransportError) -> ProviderUnavailable:
    return ProviderUnavailable(f"{call.url.host} does not answer ({type(error).__name__})")


def _shape_of(error: Exception) -> str:
    """msgspec names the expected type and the path, never the value."""
    return f"the answer does not fit: {error}" if isinstance(error, msgspec.ValidationError) else "not JSON"
