"""Reading requests: one strict JSON parser, straight into the handler's type, faults named by a JSON pointer."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import InternalServerException

from libs.common.errors import InvalidInput, MalformedPayload

_PATH = re.compile(r" - at `(?:key in )?\$(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_NUL = b"\\u0000"


class StrictRequest(Request[Any, Any, State]):
    """Litestar decodes JSON to plain values and converts those leniently ("5" becomes 5); this decodes strictly."""

    async def body(self) -> bytes:
        try:
            return await super().body()
        except InternalServerException:
            raise MalformedPayload("the body broke off") from None  # the caller's doing, not a fault of ours

    async def json(self) -> Any:
        data = self.route_handler.parsed_fn_signature.parameters.get("data")
        return decode_body(await self.body(), Any if data is None else data.annotation)


def decode_body(body: bytes, kind: Any) -> Any:
    """Raises MalformedPayload (400) for what is not JSON, InvalidInput (422) for JSON that does not fit `kind`."""
    try:
        found = msgspec.json.decode(body, type=kind)
        if _NUL in body:
            _refuse_nul(msgspec.json.decode(body))
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise MalformedPayload("the body is not JSON") from None
    return found


def invalid(message: str, prefix: str = "") -> InvalidInput:
    """From msgspec's message, which names types and places but never a value."""
    found = _PATH.search(message)
    text = message[: found.start()] if found else message
    return InvalidInput(text, pointer=prefix + pointer_of(found.group(1) if found else "") or "/")


def pointer_of(path: str) -> str:
    """`.items[3].name` → `/items/3/name` (RFC 6901)."""
    steps = [name or index for name, index in _STEP.findall(path)]
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _refuse_nul(value: Any) -> None:
    """U+0000 is valid JSON and a string that Postgres cannot hold: it is refused here, once, for every route."""
    if isinstance(value, str) and "\x00" in value:
        raise MalformedPayload("a string holds U+0000")
    parts = value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else ()
    for part in parts:
        _refuse_nul(part)
