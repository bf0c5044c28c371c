"""Finding chunks by words and by meaning: both rankings of one moment, fused, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from libs.common.database.transaction import Row
from libs.common.errors import NotFound
from libs.common.http.wire import CursorExpired, InvalidCursor, decode_cursor, encode_cursor, in_utc
from services.chunker.domain.embedding import QueryVector
from services.chunker.domain.feedback import boost
from services.chunker.domain.fusion import (
    DIGITS,
    KEYWORDS,
    SENTENCE,
    first,
    following,
    fused,
    grouped,
    is_end,
    opened,
    weighed,
)
from services.chunker.domain.joining import Place, joined
from services.chunker.domain.query import Parsed, is_sentence, parse
from services.chunker.domain.searching import (
    Corrected,
    Fusion,
    Group,
    Leg,
    Level,
    Position,
    Question,
    Ranked,
    Read,
    Stretch,
    Word,
)
from services.chunker.domain.typos import can_be_mistyped, likely
from services.chunker.index.protocol import Reading, SearchIndex
from services.chunker.lexical import normalise_for_index
from services.chunker.repository import feedback, vectors
from services.chunker.repository import search as hydrating
from services.chunker.repository.filters import Narrowing, narrowing

MOST_CORRECTED = 4  # words of one query; they travel in cursors
ALIKE = 20
MOST_ALONE = 40  # chunks without a vector that a cursor names: with them it is no longer than cursors may be
MOST_NEAR = 1000  # what a walk of the vectors' graph can give


class Queries(Protocol):
    """Asked before a transaction opens. None: there is nothing to compare with."""

    async def embed(self, query: str) -> QueryVector | None: ...


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` stand beside `ranked`, and beside them the other chunks of each hit in the order of their source.

    `words` are what was looked for, typos already replaced.
    """

    rows: list[Row]
    beside: list[list[Row]]
    ranked: list[Ranked]
    words: list[Word]
    corrected: list[Corrected]
    mean: float
    matched: Mapping[int, list[Row]]
    next_cursor: str | None

    @property
    def lexemes(self) -> list[str]:
        return [word.lexeme for word in self.words]


class Terms(msgspec.Struct, frozen=True):
    """What the lexical ranking is asked; frozen by the first page."""

    words: list[Word]
    corrected: list[Corrected]
    mean: float


class Overviews(msgspec.Struct, frozen=True):
    """Summary nodes with their scores beside them."""

    nodes: list[Row]
    scores: list[float]
    terms: Terms


class Asked(msgspec.Struct, frozen=True):
    question: Question
    terms: Terms
    narrow: Narrowing | None
    vector: QueryVector | None
    share: float
    moment: datetime | None
    alone: tuple[int, ...]


@dataclass(frozen=True)
class Searcher:
    """`depth`: how many candidates each ranking gives at first."""

    index: SearchIndex
    fusion: Fusion = "minmax"
    depth: int = 100
    queries: Queries | None = None

    async def search(
        self, workspace: str, question: Question, *, cursor: str | None = None, limit: int = 10, explain: bool = False
    ) -> Answers:
        """Raises NotFound for a workspace that never connected anything, InvalidCursor for a foreign cursor."""
        position = _position(question, cursor)
        parsed = parse(question.query)
        vector = await self._vector(question, parsed)
        async with self.index.reading(workspace) as index:
            asked = await _asked(index, question, parsed, vector, position)
            found = await self._find(index, asked, position, limit + 1)
            return await _answers(index, asked, found, limit, explain)

    async def search_summaries(self, workspace: str, question: Question, level: Level, *, limit: int = 10) -> Overviews:
        """Summaries of what the best chunks belong to, ranked by their own words. Raises NotFound as `search` does."""
        question = msgspec.structs.replace(question, group="none")
        parsed = parse(question.query)
        vector = await self._vector(question, parsed)
        async with self.index.reading(workspace) as index:
            asked = await _asked(index, question, parsed, vector, None)
            found = await self._find(index, asked, None, 2 * self.depth)
            async with index.truth() as tx:
                nodes = await hydrating.summaries_of(tx, level, [one.pk for one in found])
                texts = [normalise_for_index(f"{node['title']}\n{node['text']}") for node in nodes]
                scores = await hydrating.rank_texts(tx, texts, asked.terms.words)
        ranked = sorted(scores.items(), key=lambda one: (-one[1], nodes[one[0]]["id"]))[:limit]
        return Overviews([nodes[n] for n, _ in ranked], [score for _, score in ranked], asked.terms)

    async def _vector(self, question: Question, parsed: Parsed) -> QueryVector | None:
        return await self.queries.embed(question.query) if self.queries and parsed.words else None

    async def _find(self, index: Reading, asked: Asked, position: Position | None, limit: int) -> list[Ranked]:
        """Stretch after stretch, each twice as deep, until there is enough or no more.

        A later page looks beyond its stretch: what came into the index meanwhile may have pushed others down.
        """
        found: list[Ranked] = []
        before: Stretch | None = None
        depth = position.stretch.depth if position else self.depth
        while True:
            legs = await _legs(index, asked, 2 * depth if position else depth)
            stretch = position.stretch if position else opened(legs, depth, before)
            weighted = weighed(legs, stretch, asked.share, asked.terms.words)
            ranked = fused(weighted, stretch, self.fusion, await _boosts(index, asked, legs), asked.alone)
            if asked.question.group != "none":
                ranked = _gathered(asked.question.group, ranked, await _places(index, ranked))
            found += first(following(ranked, position), limit - len(found))
            if len(found) == limit or is_end(legs, ranked):
                return found
            before, position, depth = stretch, None, depth * 2


async def _legs(index: Reading, asked: Asked, depth: int) -> list[Leg]:
    scores = await index.rank(asked.terms.words, asked.terms.mean, asked.narrow, depth)
    legs = [Leg("lexical", _rounded(scores), depth)]
    if asked.vector is not None:
        near = _rounded(await index.nearest(asked.vector, min(depth, MOST_NEAR), asked.narrow))
        wanted = depth if depth <= MOST_NEAR else len(near) + 1
        async with index.truth() as tx:
            unread = await vectors.without(tx, asked.vector.generation.id, scores.keys() - near.keys())
        legs.append(Leg("vector", near, wanted, unread=unread))
    return legs


async def _boosts(index: Reading, asked: Asked, legs: Sequence[Leg]) -> dict[int, float]:
    """What people said of the candidates in this workspace."""
    if not asked.question.feedback:
        return {}
    async with index.truth() as tx:
        scores = await feedback.scores(tx, sorted({pk for leg in legs for pk in leg.raw}), asked.moment)
    return {pk: boost(round(score, DIGITS)) for pk, score in scores.items()}


def _rounded(scores: Mapping[int, float]) -> dict[int, float]:
    return {pk: round(score, DIGITS) for pk, score in scores.items()}


async def _places(index: Reading, ranked: Sequence[Ranked]) -> dict[int, Place]:
    async with index.truth() as tx:
        return await hydrating.places(tx, [one.pk for one in ranked])


def _gathered(group: Group, ranked: Sequence[Ranked], places: Mapping[int, Place]) -> list[Ranked]:
    if group == "passage":
        return joined(ranked, places)
    return grouped(ranked, {pk: place.source for pk, place in places.items()})


async def _asked(
    index: Reading, question: Question, parsed: Parsed, vector: QueryVector | None, position: Position | None
) -> Asked:
    read = await index.read(parsed)
    if not read.known:
        raise NotFound("unknown workspace, or nothing is connected in it yet")
    terms = _kept_terms(read, position) if position else await _terms(index, read)
    narrow = narrowing(question.filters, parsed.phrases, read.quoted)
    if position:
        vector = _same_vectors(position, vector)
    share = SENTENCE if is_sentence(question.query) else KEYWORDS
    moment = position.moment if position else await _moment(index, question)
    return Asked(question, terms, narrow, vector, share, moment, position.alone if position else ())


async def _moment(index: Reading, question: Question) -> datetime | None:
    if not question.feedback:
        return None
    async with index.truth() as tx:
        return await feedback.moment(tx)


def _same_vectors(position: Position, vector: QueryVector | None) -> QueryVector | None:
    """Pages go on as the first one began: with words alone, or with the vectors of the same model."""
    if position.generation is None and len(position.stretch.scales) == 1:
        return None
    if vector is None or vector.generation.id != position.generation or len(position.stretch.scales) != 2:
        raise CursorExpired("the model that made this order does not answer any more: search anew")
    return vector


def _position(question: Question, cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    position = decode_cursor(cursor, Position)
    if position.question != question.key():
        raise InvalidCursor("this cursor belongs to another search: send it with the same query and filters",
                            pointer="/cursor")  # fmt: skip
    if (position.moment is not None) != question.feedback:
        raise InvalidCursor(pointer="/cursor")
    moment = position.moment and in_utc(position.moment, "/cursor")
    return msgspec.structs.replace(position, moment=moment)


async def _terms(index: Reading, read: Read) -> Terms:
    """A word that stands nowhere gives way to those that look like it."""
    missing = [lexeme for lexeme, held in read.held.items() if not held and can_be_mistyped(lexeme)]
    missing = [lexeme for lexeme in missing if lexeme not in read.quoted][:MOST_CORRECTED]
    corrected: list[Corrected] = []
    held = dict(read.held)
    if missing:
        alike = {word: likely(word, some) for word, some in (await index.alike(missing, ALIKE)).items()}
        counts = await index.count(sorted({one for some in alike.values() for one in some}))
        held |= {one: count for one, count in counts.items() if count}
        corrected = [Corrected(word, there) for word, some in alike.items()
                     if (there := tuple(one for one in some if counts[one]))]  # fmt: skip
    names = _looked_for(read.held, corrected)
    return Terms([read.word(name, held[name]) for name in names], corrected, read.mean)


def _kept_terms(read: Read, position: Position) -> Terms:
    corrected = list(position.corrected)
    names = _looked_for(read.held, corrected)
    if len(names) != len(position.idfs):
        raise InvalidCursor(pointer="/cursor")
    return Terms([Word(name, idf) for name, idf in zip(names, position.idfs, strict=True)], corrected, position.mean)


def _looked_for(held: Mapping[str, int], corrected: Sequence[Corrected]) -> list[str]:
    replaced = {one.word for one in corrected}
    words = [lexeme for lexeme in held if lexeme not in replaced]
    return list(dict.fromkeys([*words, *(name for one in corrected for name in one.to)]))


async def _answers(index: Reading, asked: Asked, found: list[Ranked], limit: int, explain: bool) -> Answers:
    page = found[:limit]
    async with index.truth() as tx:
        rows = await hydrating.chunks(tx, [one.pk for hit in page for one in hit.members])
    there = [one for one in page if one.pk in rows]
    matched: dict[int, list[Row]] = {one.pk: [] for one in there}
    for row in await index.matched(list(matched), asked.terms.words) if explain else ():
        matched[row["chunk_pk"]].append(row)
    return Answers(
        rows=[rows[one.pk] for one in there],
        beside=[_in_order(rows[beside.pk] for beside in one.beside if beside.pk in rows) for one in there],
        ranked=there,
        words=asked.terms.words,
        corrected=asked.terms.corrected,
        mean=asked.terms.mean,
        matched=matched,
        next_cursor=_cursor(asked, page) if len(found) > limit else None,
    )


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["start_byte"])


def _cursor(asked: Asked, page: Sequence[Ranked]) -> str:
    terms, last = asked.terms, page[-1]
    position = Position(
        question=asked.question.key(),
        generation=asked.vector.generation.id if asked.vector else None,
        moment=asked.moment,
        mean=terms.mean,
        idfs=tuple(word.idf for word in terms.words),
        corrected=tuple(terms.corrected),
        stretch=last.stretch,
        score=last.score,
        pk=last.pk,
        alone=(*asked.alone, *(one.pk for hit in page for one in hit.members if one.alone))[-MOST_ALONE:],
    )
    return encode_cursor(position)
