"""The words that generated issues are made of: what issues.toml says, whatever the checkout's pages say."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

MATERIAL = Path(__file__).with_name("issues.toml")
LABELS = {"bug": "bug", "question": "question", "wish": "enhancement", "page": "documentation"}
AGAIN = ("Question about", "Follow-up to", "Keep in step with", "Say more about", "Check")


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a part of the project does, and one report of each kind about it: a title and some sentences."""

    does: str
    bug: tuple[str, str]
    question: tuple[str, str]
    wish: tuple[str, str]
    page: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one issue says."""

    title: str
    text: str
    label: str


@lru_cache(maxsize=1)
def pieces() -> tuple[Piece, ...]:
    """One kind after the other, so that neighbours are of different topics."""
    topics = msgspec.convert(tomllib.loads(MATERIAL.read_text()), dict[str, Topic])
    return tuple(_piece(name, topic, kind) for kind in LABELS for name, topic in topics.items())


def _piece(name: str, topic: Topic, kind: str) -> Piece:
    title, said = getattr(topic, kind)
    return Piece(title, f"{said}\n\n**{name}**: {topic.does}", LABELS[kind])


def varied(number: int) -> Piece:
    """The piece for the n-th issue; when the pieces run out they come again under another heading."""
    found = pieces()
    piece, round_ = found[number % len(found)], number // len(found)
    if round_ == 0:
        return piece
    again = f"{AGAIN[(round_ - 1) % len(AGAIN)]} {piece.title}"
    turn = (round_ - 1) // len(AGAIN)
    return Piece(f"{again} ({turn + 1})" if turn else again, piece.text, piece.label)
