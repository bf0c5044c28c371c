"""The shape of JSON at the HTTP edge: camelCase outside, snake_case inside, unknown fields refused, opaque cursors."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Protocol, TypeVar

import msgspec

from libs.common.errors import CallerMistake, InvalidInput

T = TypeVar("T")
LONGEST_CURSOR = 2048
_NUL = b"\\u0000"
Ordinal = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]  # a place in a list as a cursor tells it; -1 begins


class Wire(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Every body that comes in or goes out is one of these."""


class Page(msgspec.Struct, Generic[T], rename="camel", kw_only=True):
    """`next_cursor` None is the end."""

    items: list[T]
    next_cursor: str | None = None


class InvalidCursor(InvalidInput):
    code = "invalid_cursor"
    title = "This cursor is not one of ours; start without one"


class CursorExpired(CallerMistake):
    """What lies between this cursor and the oldest that is kept was dropped: going on would skip it without a word."""

    code = "cursor_expired"
    http_status = 410
    title = "What follows this cursor is no longer kept; read the present state anew"


def encode_cursor(position: Any) -> str:
    """Opaque to the caller; holds nothing that the caller could not read in the page itself."""
    return urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


class Columns(Protocol):
    """A row, or whatever else answers by name."""

    def __getitem__(self, name: str, /) -> Any: ...


def following(rows: Sequence[Columns], limit: int, *columns: str) -> str | None:
    """The cursor behind a page of `limit` rows, of which one more was asked for; None at the end."""
    if len(rows) <= limit:
        return None
    position = tuple(rows[limit - 1][name] for name in columns)
    return encode_cursor(position[0] if len(position) == 1 else position)


def decode_cursor(text: str, kind: type[T]) -> T:
    """Raises InvalidCursor (422, pointer /cursor) for anything that `encode_cursor` did not make for this kind."""
    if len(text) > LONGEST_CURSOR:
        raise InvalidCursor(pointer="/cursor")
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        if _NUL in raw:  # no text of a database holds it
            raise ValueError("U+0000")
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError):
        raise InvalidCursor(pointer="/cursor") from None


def in_utc(moment: datetime, pointer: str) -> datetime:
    """Raises InvalidInput for a time without an offset, which could mean any of two dozen moments, and for one before
    the year 1 or after 9999.
    """
    if moment.tzinfo is None:
        raise InvalidInput("a time needs an offset, like 2026-01-31T12:00:00Z", pointer=pointer)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInput("no such moment", pointer=pointer) from None
