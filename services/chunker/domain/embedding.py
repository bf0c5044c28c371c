"""Generations of vectors, what is still to be embedded, and which way to look for the nearest."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import msgspec

EXACT_UP_TO = 50_000  # vectors of a workspace: reading them all takes some 40 ms, and misses none
VISITS = 10  # what one vector met on the way through the graph costs, in vectors read in a row
LEAST_KEPT, KEPT = 100, 2  # on a walk: a walk that keeps no more than it answers overlooks one of sixteen
SPARE = 4  # met on the way for each that is wanted, were all of the same workspace

State = Literal["building", "active", "retired"]
Vector = bytes | None  # of a halfvec; None: the model refuses this text


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """All vectors of one model. Queries use the active one; one that is building takes its place when it is whole."""

    id: int
    name: str
    dimension: int
    state: State


class QueryVector(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of a halfvec, and the generation that it is compared with."""

    generation: Generation
    vector: bytes


class EmbedWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row of embed_wanted: a source with chunks that have no vector of this generation yet."""

    source_id: str
    generation: int
    workspace_id: str
    attempts: int
    epoch: int


def passage_text(context: str, text: str) -> str:
    """What is embedded of a chunk. `text` is what people read of it: of HTML without its tags."""
    return f"{context}\n{text}".lstrip()


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """What is embedded of a chunk: all of it, or one of the sections that it holds."""

    source_id: str
    pk: int
    part: int = 0
    text: str

    @property
    def text_hash(self) -> bytes:
        return sha256(self.text.encode()).digest()


def visited(depth: int, workspace: int, everywhere: int) -> int:
    """Vectors that a walk through the graph of all workspaces meets until it has `depth` of this one."""
    return SPARE * depth * max(1, everywhere // max(1, workspace))


def kept(wanted: int, most: int) -> int:
    """How many of the nearest so far a walk keeps in hand to answer `wanted`; `most` is what the index can."""
    return min(most, max(LEAST_KEPT, KEPT * wanted))


def reads_all(depth: int, workspace: int, everywhere: int) -> bool:
    """Whether reading the workspace's vectors one by one is cheaper than the graph, most of which is of others."""
    return workspace <= EXACT_UP_TO or VISITS * visited(depth, workspace, everywhere) > workspace
