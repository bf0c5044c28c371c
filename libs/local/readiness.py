"""What it means that a part answers: one question per protocol, asked by supervisor and tests alike."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

Ready = Callable[[], Awaitable[bool]]


async def http_answers(url: str) -> bool:
    """Whether a GET is answered 2xx; spoken by hand because the kernel's client guards against loopback."""
    parts = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return False
    try:
        writer.write(f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        return (await reader.readline()).startswith((b"HTTP/1.1 2", b"HTTP/1.0 2"))
    except OSError:
        return False
    finally:
        writer.close()


def http_ready(url: str) -> Ready:
    async def ready() -> bool:
        return await http_answers(url)

    return ready
