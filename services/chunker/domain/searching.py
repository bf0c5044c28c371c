"""What a search is asked, and where a page of its answers ended."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal

import msgspec

from libs.common.events.source import SourceType
from services.chunker.domain.bm25 import idf

DEEPEST = 1_000_000  # candidates of one ranking
Group = Literal["passage", "source", "none"]
Level = Literal["chunk", "section", "source", "resource"]
Fusion = Literal["minmax", "rrf"]


class Filters(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Every named field narrows; several values of one field are alternatives. `path` is a prefix."""

    types: tuple[SourceType, ...] = ()
    providers: tuple[str, ...] = ()
    integrations: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    path: str | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One search, apart from which page of it is wanted."""

    query: str
    filters: Filters = Filters()
    group: Group = "passage"
    feedback: bool = True

    def key(self) -> str:
        """Short and the same for the same question: a cursor is of one question only."""
        return sha256(msgspec.json.encode(self)).hexdigest()[:12]


class Word(msgspec.Struct, frozen=True):
    """A lexeme of the query and how rare it is in the workspace."""

    lexeme: str
    idf: float


class Held(msgspec.Struct, frozen=True):
    """How much is searched, and in how many of its chunks each lexeme stands."""

    chunks: int
    words: float
    held: dict[str, int]


class Read(msgspec.Struct, frozen=True):
    """A query as the workspace's index sees it; `held` counts the chunks that hold each lexeme."""

    known: bool
    chunks: float
    mean: float
    held: dict[str, int]
    quoted: list[str]

    def word(self, lexeme: str, held: int) -> Word:
        return Word(lexeme, idf(self.chunks, held))


class Corrected(msgspec.Struct, frozen=True, array_like=True):
    """A word that stands nowhere in the workspace, and the lexemes that are looked for in its place."""

    word: str
    to: tuple[str, ...]


class Edge(msgspec.Struct, frozen=True, array_like=True):
    """A place in one ranking: scores fall, and of equal ones the older chunk comes first."""

    raw: float
    pk: int

    def reached_by(self, raw: float | None, pk: int) -> bool:
        return raw is not None and (-raw, pk) <= (-self.raw, self.pk)


class Scale(msgspec.Struct, frozen=True, array_like=True):
    """How one leg's raw scores are read: `low` and `high` of its first candidates are 0 and 1.

    `floor` is the last candidate of this stretch, `ceiling` that of the stretch before: what reaches it was shown.
    Whoever is not among the candidates counts as `absent`.
    """

    low: float
    high: float
    absent: float
    floor: Edge
    ceiling: Edge | None = None

    def normalise(self, raw: float | None) -> float:
        raw = self.absent if raw is None else max(raw, self.absent)
        return (raw - self.low) / (self.high - self.low) if self.high > self.low else float(raw >= self.high)


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """The candidates of each leg down to `depth`; `idfs` and `mean` stay as they were on the first page."""

    depth: Annotated[int, msgspec.Meta(ge=1, le=DEEPEST)]
    scales: Annotated[tuple[Scale, ...], msgspec.Meta(min_length=1, max_length=2)]


class Position(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a page ended, with all that made its scores: a chunk that did not change keeps its score on every page.

    `generation` of the vectors that took part, None where the words decided alone. Feedback counts until `moment`.
    `alone` are the last that were shown by their words alone: their vectors may come meanwhile.
    """

    question: str
    generation: int | None
    moment: datetime | None
    mean: Annotated[float, msgspec.Meta(gt=0)]
    idfs: tuple[float, ...]
    corrected: tuple[Corrected, ...]
    stretch: Stretch
    score: float
    pk: int
    alone: tuple[int, ...] = ()


class Leg(msgspec.Struct, frozen=True):
    """One ranking: raw scores by chunk, best first, of at most `asked`. Of the `unread` it can say nothing yet."""

    name: Literal["lexical", "vector"]
    raw: dict[int, float]
    asked: int
    weight: float = 1.0
    unread: frozenset[int] = frozenset()

    @property
    def exhausted(self) -> bool:
        return len(self.raw) < self.asked


class LegScore(msgspec.Struct, frozen=True):
    """What one leg says of a chunk; without a rank it is not among that leg's candidates."""

    leg: str
    weight: float
    normalised: float
    raw: float | None = None
    rank: int | None = None


class Ranked(msgspec.Struct, frozen=True):
    """A candidate with its score. `shown`: on an earlier stretch already; `due`: on this one. `alone`: the words
    decide, because it has no vector yet. `beside`: the lesser chunks that are one hit with it.
    """

    pk: int
    score: float
    stretch: Stretch
    shown: bool
    due: bool
    legs: tuple[LegScore, ...] = ()
    further: int = 0
    boost: float = 1.0
    alone: bool = False
    beside: tuple[Ranked, ...] = ()

    @property
    def members(self) -> tuple[Ranked, ...]:
        return (self, *self.beside)
