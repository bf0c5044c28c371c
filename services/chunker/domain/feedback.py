"""What people say of an answer, and of whom it counts."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Signal = Literal["helpful", "unhelpful", "outdated", "incorrect"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One word of one person about a source, or a chunk of it; `subject` is who, never shown."""

    signal: Signal
    subject: str
    source_id: str | None
    chunk_id: str | None
    query: str = ""
    comment: str = ""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """`chunk_id` '' is the source as a whole."""

    integration_id: str
    source_id: str
    content_hash: str
    chunk_id: str


LIFT = 0.1  # of a score, at most, up or down: it decides between answers that are about as good


def boost(score: float) -> float:
    """The factor that people's word on a chunk is on its score; `score` lies between -1 and 1."""
    return 1 + LIFT * score


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Of an integration, absolute."""

    version: int = 0
    helpful: int = 0
    unhelpful: int = 0
    outdated: int = 0
    incorrect: int = 0
