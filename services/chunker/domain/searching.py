"""What a search is asked, and where a page of its answers ended."""

from __future__ import annotations

from datetime import datetime

import msgspec

K1 = 1.2  # BM25's usual constants, measured best here (retrieval notes, section 3)
B = 0.75


class Filters(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Every named field narrows; several values of one field are alternatives. `path` is a prefix."""

    types: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    integrations: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    path: str | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page of answers ended: the next one starts below this score."""

    score: float
    pk: int
