"""Search over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from libs.common.database.transaction import Row
from libs.common.errors import InvalidInput, NotFound
from libs.common.http.wire import Wire, in_utc
from libs.common.security.principals import Principal
from libs.providers import registry
from services.chunker.api.wire import READ
from services.chunker.domain.bm25 import weight_of
from services.chunker.domain.searching import Corrected, Filters, Group, Level, Question, Ranked
from services.chunker.lexical import Highlight, highlight
from services.chunker.use_cases.searching import Answers, Overviews, Searcher


class SearchAsked(Wire):
    """`query` is plain words; "words in quotes" must stand in the text. Every filter narrows.

    `group` passage: chunks that stand side by side are one hit of up to 512 tokens; source: the best chunk of each
    source; none: every chunk is a hit. `feedback` false: what people said of answers does not count. `explain`: what
    made each score. `level` other than chunk answers with summaries of what the best chunks belong to, in one page.
    """

    query: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    cursor: str | None = None
    filters: Filters = msgspec.field(default_factory=Filters)
    group: Group = "passage"
    feedback: bool = True
    level: Level = "chunk"
    explain: bool = False


class FoundHighlight(Wire):
    """`ranges` are [start, end) in characters of `text`."""

    text: str
    ranges: list[tuple[int, int]]


class FoundChunk(Wire):
    id: str
    text: str
    path: list[str]
    anchor: str
    start_byte: int
    end_byte: int


class FoundSource(Wire):
    id: str
    type: str
    name: str
    url: str
    path: str | None
    provider: str
    integration_id: str
    resource_id: str
    resource_name: str
    version: int


class LegExplained(Wire):
    """`raw` and `rank` are null for a chunk that is not among this ranking's candidates."""

    leg: str
    raw: float | None
    rank: int | None
    normalised: float
    weight: float


class LexemeExplained(Wire):
    """`score` is its part of the lexical raw score."""

    lexeme: str
    frequency: int
    idf: float
    score: float


class Explained(Wire):
    """`feedback` is the factor that people's word on the chunk or its source was on its score; 1 is none."""

    legs: list[LegExplained]
    feedback: float
    lexemes: list[LexemeExplained]


class Found(Wire):
    """`chunk` is the best of the hit; `beside` are the others of the same passage, in the order of their source.

    `more_from_source` counts its other candidates when the answer is grouped by source.
    """

    score: float
    highlights: list[FoundHighlight]
    chunk: FoundChunk
    beside: list[FoundChunk]
    source: FoundSource
    more_from_source: int | None = None
    explanation: Explained | None = None


class FoundSummary(Wire):
    """`chunk_ids`: made from these, of a section or source. `source_id` is empty above the source."""

    id: str
    level: str
    title: str
    anchor: str
    text: str
    method: str
    chunk_ids: list[str]
    source_id: str
    resource_id: str
    integration_id: str
    score: float
    highlights: list[FoundHighlight]


class WordCorrected(Wire):
    """`word` stands nowhere in the workspace; the stems in `to` were looked for in its place."""

    word: str
    to: list[str]


class SearchAnswer(Wire):
    """`next_cursor` null is the end. `summaries` instead of `items` when a level above the chunk was asked for."""

    items: list[Found] = msgspec.field(default_factory=list)
    summaries: list[FoundSummary] = msgspec.field(default_factory=list)
    next_cursor: str | None = None
    corrected: list[WordCorrected] = msgspec.field(default_factory=list)


@post("/v1/workspaces/{workspace:str}/search", status_code=200, operation_id="search", tags=["search"])
async def search(
    workspace: FromPath[str],
    data: JSONBody[SearchAsked],
    principal: NamedDependency[Principal],
    searcher: NamedDependency[Searcher],
) -> SearchAnswer:
    """Chunks that answer the words, best first."""
    principal.require(READ)
    principal.require_workspace(workspace)
    question = Question(query=data.query, filters=_canonical(data.filters), group=data.group, feedback=data.feedback)
    if data.level != "chunk":
        if data.cursor:
            raise InvalidInput("summaries come in one page: ask without a cursor", pointer="/cursor")
        overviews = await searcher.search_summaries(workspace, question, data.level, limit=data.limit)
        return _overviewed(overviews, data.query)
    found = await searcher.search(workspace, question, cursor=data.cursor, limit=data.limit, explain=data.explain)
    return answer_of(found, data)


def answer_of(found: Answers, asked: SearchAsked) -> SearchAnswer:
    return SearchAnswer(
        items=[
            _found(row, beside, ranked, found, asked)
            for row, beside, ranked in zip(found.rows, found.beside, found.ranked, strict=True)
        ],
        next_cursor=found.next_cursor,
        corrected=[_corrected(one, asked.query) for one in found.corrected],
    )


def _overviewed(found: Overviews, query: str) -> SearchAnswer:
    lexemes = [word.lexeme for word in found.terms.words]
    names = set(FoundSummary.__struct_fields__) - {"score", "highlights", "chunk_ids"}
    return SearchAnswer(
        summaries=[
            FoundSummary(
                score=round(score, 6),
                highlights=[_highlighted(one) for one in highlight(node["text"], lexemes)],
                chunk_ids=list(node["chunk_ids"]),
                **{name: node[name] for name in names},
            )
            for node, score in zip(found.nodes, found.scores, strict=True)
        ],
        corrected=[_corrected(one, query) for one in found.terms.corrected],
    )


def _canonical(filters: Filters) -> Filters:
    """Raises InvalidInput for a provider that nobody knows: an empty answer would hide the mistake."""
    providers: list[str] = []
    for n, name in enumerate(filters.providers):
        try:
            providers.append(registry.manifest(name).id)
        except NotFound as error:
            raise InvalidInput(error.detail, pointer=f"/filters/providers/{n}") from None
    after, before = filters.updated_after, filters.updated_before
    return msgspec.structs.replace(
        filters, providers=tuple(providers), updated_after=after and in_utc(after, "/filters/updatedAfter"),
        updated_before=before and in_utc(before, "/filters/updatedBefore"),
    )  # fmt: skip


def _found(row: Row, beside: Sequence[Row], ranked: Ranked, found: Answers, asked: SearchAsked) -> Found:
    source = {name: row[name] for name in FoundSource.__struct_fields__ if name != "id"}
    return Found(
        score=round(ranked.score, 6),
        highlights=[_highlighted(one) for one in highlight(row["text"], found.lexemes)],
        chunk=_chunk(row),
        beside=[_chunk(one) for one in beside],
        source=FoundSource(id=row["source_id"], **source),
        more_from_source=ranked.further if asked.group == "source" else None,
        explanation=_explained(ranked, found.matched[ranked.pk], found) if asked.explain else None,
    )


def _chunk(row: Row) -> FoundChunk:
    given = {name: row[name] for name in FoundChunk.__struct_fields__ if name != "path"}
    return FoundChunk(path=list(row["heading_path"]), **given)


def _highlighted(one: Highlight) -> FoundHighlight:
    return FoundHighlight(text=one.text, ranges=[(start, end) for start, end in one.ranges])


def _explained(ranked: Ranked, matched: Sequence[Row], found: Answers) -> Explained:
    idf = {word.lexeme: word.idf for word in found.words}
    return Explained(
        feedback=round(ranked.boost, 6),
        legs=[
            LegExplained(
                leg=one.leg, raw=one.raw, rank=one.rank, normalised=round(one.normalised, 6), weight=one.weight
            )
            for one in ranked.legs
        ],
        lexemes=[
            LexemeExplained(
                lexeme=row["lexeme"],
                frequency=row["frequency"],
                idf=idf[row["lexeme"]],
                score=round(idf[row["lexeme"]] * weight_of(row["frequency"], row["words"], found.mean), 6),
            )
            for row in matched
        ],
    )


def _corrected(one: Corrected, query: str) -> WordCorrected:
    """The word as it was typed, where it can be told from its stem."""
    typed = (word.strip(".,;:!?()[]") for word in query.split())
    word = next((word for word in typed if word.lower().startswith(one.word[:-1])), one.word)
    return WordCorrected(word=word, to=list(one.to))
