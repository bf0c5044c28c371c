"""What an engine beside Postgres is told of a source, and how far it has been told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

LEASE_S = 60.0  # longer than any telling; a killed worker delays its sources by this much
State = Literal["filling", "whole", "ended"]


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """Every chunk once more, in an engine. Searches ask it when it is whole; one that is ended is dropped."""

    id: str
    state: State


class MirrorWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row of mirror_wanted. `version` grows with every claim, over restored databases too."""

    source_id: str
    workspace_id: str
    erase: bool
    attempts: int
    epoch: int
    version: int


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk as an engine ranks it. `vectors` are halfvecs' bytes by the generation that they are of."""

    pk: int
    source_id: str
    words: int
    lexemes: str
    labels: dict[str, Any]
    vectors: dict[int, list[bytes]]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine is to hold of some sources of one workspace from now on, and what it may hold beside."""

    workspace: str
    documents: Sequence[Document]
    gone: Sequence[int]
    version: int
