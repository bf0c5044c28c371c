"""Reading an answer's body bounded after decompression and not before: a small answer can unpack into a huge one."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator

from libs.common.errors import ProviderContractBroken

STEP = 256 * 1024
ACCEPTED = "gzip, deflate"
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class BodyTooLarge(ProviderContractBroken):
    code = "body_too_large"
    title = "The provider's answer is larger than we read"


async def read_body(chunks: AsyncIterator[bytes], encoding: str, largest: int) -> bytes:
    """`chunks` are raw; raises BodyTooLarge past `largest` decoded bytes, ProviderContractBroken for a broken encoding.

    A chunk is inflated in steps, so a compressed bomb is noticed after one step and not after it has been unpacked.
    """
    decode = _decoder(encoding)
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        for part in decode(chunk):
            parts.append(part)
            size += len(part)
            if size > largest:
                raise BodyTooLarge
    return b"".join([*parts, *decode(b"")])


class _Inflate:
    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(GZIP_OR_ZLIB)
        self._started = False

    def __call__(self, data: bytes) -> Iterator[bytes]:
        if not data:
            self._finish()
            return
        self._started = True
        while data:
            part = self._step(data)
            if part:
                yield part
            data = self._inflater.unconsumed_tail or self._next_member()

    def _step(self, data: bytes) -> bytes:
        try:
            return self._inflater.decompress(data, STEP)
        except zlib.error:
            raise ProviderContractBroken("the body is not what its Content-Encoding says") from None

    def _next_member(self) -> bytes:
        """gzip files may be concatenated; anything else after the end is not read."""
        rest = self._inflater.unused_data
        if rest[:2] != b"\x1f\x8b":
            return b""
        self._inflater = zlib.decompressobj(GZIP_OR_ZLIB)
        return rest

    def _finish(self) -> None:
        if self._started and not self._inflater.eof:
            raise ProviderContractBroken("the body ends inside its Content-Encoding")


def _plain(data: bytes) -> Iterator[bytes]:
    if data:
        yield data


def _decoder(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _plain
    if name in ("gzip", "x-gzip", "deflate"):
        return _Inflate()
    raise ProviderContractBroken("the body has a Content-Encoding that was not asked for")
