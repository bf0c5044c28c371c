"""Whom outbound TLS believes: read when a first connection needs it, beside the loop."""

from __future__ import annotations

import asyncio
import ssl
from functools import lru_cache

import httpx


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """Names are checked against the public authorities. Reading those takes some 30 ms, and every client trusts the
    same ones."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def trusted() -> ssl.SSLContext:
    """A service that talks to its neighbours alone needs none."""
    return await asyncio.to_thread(trust)


def trust_nobody() -> ssl.SSLContext:
    """Stands where a library wants a context at once: a handshake by this one fails."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
