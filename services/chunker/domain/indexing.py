"""What is to be written for one source."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.internal import SourceItem
from services.chunker.chunking import Chunk
from services.chunker.summarising import Node


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row of index_wanted."""

    source_id: str
    workspace_id: str
    integration_id: str
    provider: str
    version: int
    remove: bool
    attempts: int
    epoch: int
    traceparent: str | None = None


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A source, cut: everything that replaces its old rows. `indexed_texts` and `passages` are of each chunk."""

    item: SourceItem
    chunks: tuple[Chunk, ...] = ()
    indexed_texts: tuple[str, ...] = ()
    passages: tuple[tuple[str, ...], ...] = ()
    summaries: tuple[Node, ...] = ()
    skipped: str | None = None


def is_stale(item: SourceItem, wanted: Wanted) -> bool:
    """The owner answered with an older version than it announced: ask again rather than index the past."""
    return item.state == "present" and item.version < wanted.version


def removed(items: Sequence[tuple[Wanted, SourceItem]]) -> list[Wanted]:
    """Tombstones and unknown ids: both leave the index."""
    return [wanted for wanted, item in items if item.state != "present"]


def retry_seconds(attempts: int) -> float:
    """1, 2, 4 … 300 seconds."""
    return float(min(2**attempts, 300))
