"""What OpenSearch is told and asked, as the JSON of its interface. Pure.

Scores are ours, not the engine's: rarity is counted in the workspace and the mean length is asked with the query, so a
chunk has the BM25 score that Postgres would give it. The similarity of the words is only how often one stands there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from services.chunker.domain.bm25 import K1, B
from services.chunker.domain.embedding import QueryVector, kept
from services.chunker.domain.mirroring import Document, Told
from services.chunker.domain.searching import Filters, Word
from services.chunker.embedding.halfvec import numbers
from services.chunker.repository.filters import Narrowing

Body = dict[str, Any]

MOST_HITS = 10_000  # the engine's own bound on one answer
KEPT_DELETES = "1h"  # a write that comes late is known to be older than the delete before it
LONGEST_LABEL = 8191  # characters; a term of the engine has at most 32,766 bytes
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEIGHT = """
params.idf * _score * (params.k1 + 1)
  / (_score + params.k1 * (1 - params.b + params.b * doc['words'].value / params.mean))
"""
LABELS = {
    "types": "type",
    "providers": "provider",
    "integrations": "integration_id",
    "resources": "resource_id",
    "authors": "author",
}


def index_body(refresh: str) -> Body:
    """An index template of the operator's adds shards and replicas."""
    keyword = {"type": "keyword", "ignore_above": LONGEST_LABEL}
    frequency = {"type": "scripted", "script": {"source": "return doc.freq;"}}
    lexemes = {"type": "text", "analyzer": "whitespace", "similarity": "frequency", "norms": False,
               "index_options": "freqs"}  # fmt: skip
    properties = {
        **dict.fromkeys(("workspace_id", "source_id", "path", *LABELS.values()), keyword),
        "pk": {"type": "long"},
        "words": {"type": "integer"},
        "updated_at": {"type": "long"},
        "lexemes": lexemes,
    }
    return {
        "settings": {"index": {"knn": True, "refresh_interval": refresh, "gc_deletes": KEPT_DELETES,
                               "similarity": {"frequency": frequency}}},
        "mappings": {"dynamic": "strict", "_source": {"enabled": False}, "_routing": {"required": True},
                     "properties": properties},
    }  # fmt: skip


def vectors_field(generation: int) -> str:
    return f"vectors_{generation}"


def vectors_body(dimensions: Mapping[int, int]) -> Body:
    """A field for each generation of vectors, several of a chunk. Inner product: of unit vectors that is the cosine."""
    method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    fields = {vectors_field(generation): {"type": "nested", "properties": {
        "vector": {"type": "knn_vector", "dimension": dimension, "method": method},
    }} for generation, dimension in dimensions.items()}  # fmt: skip
    return {"properties": fields}


def bulk_lines(told: Told) -> Iterator[Body]:
    """Each write says its version: what comes late changes nothing."""
    at = {"routing": told.workspace, "version": told.version, "version_type": "external"}
    for document in told.documents:
        yield {"index": {"_id": str(document.pk), **at}}
        yield _document(told.workspace, document)
    yield from ({"delete": {"_id": str(pk), **at}} for pk in told.gone)


def _document(workspace: str, document: Document) -> Body:
    labels = {name: value for name, value in document.labels.items() if value is not None}
    if "updated_at" in labels:
        labels["updated_at"] = micros(labels["updated_at"])
    vectors = {vectors_field(generation): [{"vector": _floats(one)} for one in some]
               for generation, some in document.vectors.items()}  # fmt: skip
    return {
        "workspace_id": workspace, "source_id": document.source_id, "pk": document.pk, "words": document.words,
        "lexemes": document.lexemes, **labels, **vectors,
    }  # fmt: skip


def _floats(vector: bytes) -> list[float]:
    return [float(one) for one in np.round(numbers([vector])[0].astype(np.float64), 6)]


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


class Scope(msgspec.Struct, frozen=True):
    """What of a mirror a question is about; the sources of `without` are told by somebody else."""

    workspace: str
    without: Sequence[str] = ()
    narrow: Narrowing | None = None


def held_body(scope: Scope, lexemes: Sequence[str]) -> Body:
    """How many chunks and words there are, and in how many chunks each lexeme stands."""
    held = {str(n): {"term": {"lexemes": lexeme}} for n, lexeme in enumerate(lexemes)}
    aggregations: Body = {"words": {"sum": {"field": "words"}}}
    if held:
        aggregations["held"] = {"filters": {"filters": held}}
    return {"size": 0, "track_total_hits": True, "query": _allowed(scope), "aggs": aggregations}


def rank_body(scope: Scope, words: Sequence[Word], mean: float, size: int) -> Body:
    """The best first; of equal ones the older chunk."""
    query = _allowed(scope)
    query["bool"] |= {"should": [_weighed(word, mean) for word in words], "minimum_should_match": 1}
    return {"size": size, "track_total_hits": False, "track_scores": True, "query": query, **PK_ALONE,
            "sort": [{"_score": "desc"}, {"pk": "asc"}]}  # fmt: skip


def nearest_body(scope: Scope, query: QueryVector, size: int) -> Body:
    """The filter works inside the walk of the graph, so a narrow search still finds its nearest.

    A chunk counts once, by the nearest of its vectors.
    """
    field = vectors_field(query.generation.id)
    asked = {"vector": _floats(query.vector), "k": kept(size, MOST_HITS), "filter": _allowed(scope)}
    near = {"nested": {"path": field, "query": {"knn": {f"{field}.vector": asked}}, "score_mode": "max",
                       "ignore_unmapped": True}}  # fmt: skip
    return {"size": size, "track_total_hits": False, "query": near, **PK_ALONE}


def workspace_body(scope: Scope, size: int) -> Body:
    return {"size": size, "track_total_hits": True, "query": _allowed(scope), **PK_ALONE}


PK_ALONE: Body = {"_source": False, "docvalue_fields": ["pk"]}


def similarity(score: float) -> float:
    """The inner product again: the engine's scores are never negative."""
    return score - 1 if score >= 1 else 1 - 1 / score


def _weighed(word: Word, mean: float) -> Body:
    params = {"idf": word.idf, "mean": mean, "k1": K1, "b": B}
    return {"script_score": {"query": {"term": {"lexemes": word.lexeme}}, "script": {
        "source": " ".join(WEIGHT.split()), "params": params,
    }}}  # fmt: skip


def _allowed(scope: Scope) -> Body:
    """Phrases are seen in the texts, which stay in Postgres: here their words must stand in the chunk."""
    conditions: list[Body] = [{"term": {"workspace_id": scope.workspace}}]
    if scope.narrow:
        conditions += _conditions(scope.narrow.filters)
        conditions += [{"term": {"lexemes": lexeme}} for lexeme in scope.narrow.quoted]
    refused = [{"terms": {"source_id": list(scope.without)}}] if scope.without else []
    return {"bool": {"filter": conditions, "must_not": refused}}


def _conditions(filters: Filters) -> Iterator[Body]:
    for name, field in LABELS.items():
        if wanted := getattr(filters, name):
            yield {"terms": {field: list(wanted)}}
    if filters.path is not None:
        yield {"prefix": {"path": filters.path}} if filters.path else {"exists": {"field": "path"}}
    for name, sign in (("updated_after", "gte"), ("updated_before", "lt")):
        if (moment := getattr(filters, name)) is not None:
            yield {"range": {"updated_at": {sign: micros(moment)}}}
