"""What a reader makes of one page, and the contract of such a reader: one a generator, everything else is shared."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Literal, Protocol

import msgspec

from libs.common.sites.html import Element

Kind = Literal["document", "listing", "missing", "empty", "login", "foreign"]


class PageRead(msgspec.Struct, frozen=True, kw_only=True):
    """`document` has text of its own; `listing` only leads to others; `missing` stands for what is not there.

    `empty` is filled in by a browser only; `login` asks who we are; `foreign` was not made by the reader's generator.
    `latest` False: of a version beside the released one; `version_path` is its folder when the address tells it.
    """

    kind: Kind
    title: str = ""
    content: str = ""
    links: tuple[str, ...] = ()
    canonical: str = ""
    indexed: bool = True
    version: str = ""
    latest: bool = True
    version_path: str = ""
    locale: str = ""
    metadata: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """Of what people read, so that a rebuild with other bytes is no change."""
        return sha256(f"{self.title}\n{self.content}".encode()).hexdigest()


class Reader(Protocol):
    """`name` is the generator's, for messages."""

    name: str

    def read(self, root: Element, url: str) -> PageRead: ...


def asks_to_log_in(root: Element) -> bool:
    return any((field.get("type") or "").lower() == "password" for field in root.iter("input"))
