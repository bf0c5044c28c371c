"""What Template answers, as far as it is read: unknown fields are ignored, missing ones break the contract."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Me(msgspec.Struct, frozen=True):
    id: str
    name: str


class Collection(msgspec.Struct, frozen=True):
    """`revision` changes with every change of the collection or of one of its documents."""

    id: str
    name: str
    url: str
    revision: str


class Document(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    title: str
    url: str
    text: str
    updated_at: datetime
    author: str = ""


class CollectionList(msgspec.Struct, frozen=True):
    items: list[Collection]
    after: str | None = None


class DocumentList(msgspec.Struct, frozen=True):
    """Items are decoded one by one, so that a single odd one does not cost its page."""

    items: list[msgspec.Raw]
    after: str | None = None


class Named(msgspec.Struct, frozen=True):
    """The least that an odd item must have to be named in quarantine."""

    id: str
