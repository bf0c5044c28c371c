"""Which addresses may be called: global unicast only, judged on the resolved IP, at the moment of connecting.

Python's own `is_global` answers True for multicast, NAT64, 6to4 and ::127.0.0.1 (RELIABILITY A19), so the networks are
written out here. An IPv4 address inside an IPv6 one (mapped) is judged as IPv4; the tunnel forms (NAT64, 6to4, Teredo,
compatible) lead to an IPv4 host that nobody checked, and are refused whatever they hold.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore

from libs.common.errors import InvalidInput
from libs.common.http.trust import trusted

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

READ_BYTES = 256 * 1024  # as much as the loop takes from a socket at once

REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
GLOBAL_V6 = IPv6Network("2000::/3")
REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3ffe::/16",
        "3fff::/20",
    )
)


class AddressRefused(InvalidInput):
    code = "address_refused"
    title = "This address may not be called"


def is_public(address: str) -> bool:
    """True for a global unicast address in its plain text form; a zone id makes it local."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.scope_id is not None:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv4Address):
        return ip.is_global and not any(ip in network for network in REFUSED_V4)
    return ip in GLOBAL_V6 and ip.is_global and not any(ip in network for network in REFUSED_V6)


async def resolve(host: str, port: int) -> list[str]:
    """Every address of the name, in the system's order."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, judges every answer, and connects to an address that was judged: a second lookup never happens.

    One private answer among public ones refuses the name. `allowed` holds exact "host:port" as written in the URL.
    """

    def __init__(self, allowed: Collection[str], resolver: Resolver = resolve) -> None:
        self._allowed = frozenset(text.lower() for text in allowed)
        self._resolver = resolver
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._judged(host, port)
                return _Stream(await self._first(addresses, port, local_address, socket_options))
        except TimeoutError:
            raise httpcore.ConnectTimeout("no connection in time") from None

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

    async def _judged(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("the name does not resolve") from None
        if not addresses:
            raise httpcore.ConnectError("the name has no address")
        if endpoint(host, port) not in self._allowed and not all(is_public(address) for address in addresses):
            raise AddressRefused(
                "it is not a public address; an operator allows a private one by its exact host:port in"
                " ALLOWED_PRIVATE_ENDPOINTS"
            )
        return addresses

    async def _first(
        self,
        addresses: Sequence[str],
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        options = None if socket_options is None else list(socket_options)
        for address in addresses[:-1]:
            try:
                return await self._backend.connect_tcp(address, port, 5.0, local_address, options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._backend.connect_tcp(addresses[-1], port, None, local_address, options)


class _Stream(httpcore.AsyncNetworkStream):
    """httpcore leaves the socket open when a TLS handshake is cancelled, as every total timeout does. It reads in steps
    of 64 KB, and what had come by then is copied once a step: a page of a megabyte is read in a few."""

    def __init__(self, plain: httpcore.AsyncNetworkStream) -> None:
        self._plain = plain

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._plain.read(max(max_bytes, READ_BYTES), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._plain.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._plain.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._plain.start_tls(await trusted(), server_hostname, timeout)
        except BaseException:
            await self._plain.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)


def endpoint(host: str, port: int) -> str:
    """`host:port` the way ALLOWED_PRIVATE_ENDPOINTS writes it; IPv6 in brackets."""
    bare = host.lower().strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
