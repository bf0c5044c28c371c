"""A secret is a type, so that printing, logging or encoding one shows nothing."""

from __future__ import annotations

from typing import NoReturn

from libs.common.security.signing import constant_time_equal

HIDDEN = "***"


class Secret:
    """Hides its text in repr, str, format, pickle and msgspec; `reveal()` is the only way out.

    msgspec refuses to encode it (no hook of ours knows it), so a secret that strays into an event or a response fails
    there instead of leaking.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return constant_time_equal(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
