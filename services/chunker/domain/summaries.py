"""What is to be made anew of the summary tree, and the shape that keeps every node's reading small."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.chunker.summarising.tree import WIDEST, Level

LEAST = WIDEST // 4  # what a split leaves on either side
ABOVE: dict[Level, Level] = {"resource": "integration", "integration": "workspace"}
# A busy tree is made anew once in so many seconds, however many changes there were: the higher, the rarer.
SETTLES_S: dict[Level, float] = {"source": 0.0, "resource": 2.0, "integration": 5.0, "workspace": 15.0}
BUDGET_USED_UP = "budget_used_up"


class WantedTree(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row of summary_wanted; `tree` is the id of the node at its top."""

    tree: str
    workspace_id: str
    attempts: int
    epoch: int

    @property
    def level(self) -> Level:
        return level_of(self.tree)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What hangs directly below a tree's groups: where it belongs, and what a change of it says."""

    id: str
    tree: str
    parent_id: str | None
    place: str
    hash: str


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """A node to be made anew, as it stands: `hash` is compared before anything is written over it."""

    id: str
    level: Level
    tree: str
    parent_id: str | None
    title: str
    hash: str
    input_hash: str
    method: str
    note: str
    text: str
    chunk_ids: tuple[str, ...]
    source_id: str
    integration_id: str


class Below(msgspec.Struct, frozen=True, kw_only=True):
    """A child as its parent reads it: a chunk (no hash) or a node."""

    title: str
    text: str
    hash: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is to be made from."""

    workspace: str
    level: str
    title: str
    below: Sequence[Below]
    input_hash: str


def level_of(node: str) -> Level:
    level: Level = node.partition(":")[0]  # type: ignore[assignment]
    return level


def place_of(path: str | None, name: str, source_id: str) -> str:
    """Sources stand by path or name: what is near in the provider is near in the tree."""
    return f"{(path or name)[:400]}\x1f{source_id}"


def split(places: Sequence[str]) -> list[int]:
    """Where an overfull node is cut so that no part holds more than half of WIDEST; sorted places, first index 0.

    Near the middle the cut is made where neighbours share the least of their paths, so that groups follow folders.
    """
    cuts, start = [0], 0
    while len(places) - start > WIDEST // 2:
        left = len(places) - start
        last = min(start + WIDEST // 2, start + left - 1)
        first = min(start + LEAST, last)
        start = min(range(last, first - 1, -1), key=lambda at: _shared(places[at - 1], places[at]))
        cuts.append(start)
    return cuts


def _shared(one: str, other: str) -> int:
    """How many folders two paths have in common."""
    count = 0
    for mine, theirs in zip(one.split("/")[:-1], other.split("/")[:-1], strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def span(titles: Sequence[str], places: Sequence[str]) -> str:
    """What a group is called: its common folder, else from its first to its last."""
    folders = [place.partition("\x1f")[0].split("/")[:-1] for place in (places[0], places[-1])]
    common = "/".join(one for one, other in zip(*folders, strict=False) if one == other)
    ends = titles[0] if len(titles) == 1 else f"{titles[0].partition(' … ')[0]} … {titles[-1].rpartition(' … ')[2]}"
    return (f"{common}/: {ends}" if common else ends)[:200]


def retry_seconds(attempts: int) -> float:
    """2, 4, 8 … 300 seconds."""
    return float(min(2 ** (attempts + 1), 300))
