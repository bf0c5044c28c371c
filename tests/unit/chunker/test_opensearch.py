"""What OpenSearch is asked and told, and which settings are refused before anything is."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from libs.common.command import DESCRIBING
from libs.common.errors import ConfigurationError
from libs.common.settings import load_settings
from services.chunker.domain.bm25 import K1, B
from services.chunker.domain.mirroring import Document, Told
from services.chunker.domain.searching import Filters, Word
from services.chunker.embedding.halfvec import halfvecs
from services.chunker.index.opensearch.bodies import Scope, bulk_lines, rank_body, similarity
from services.chunker.index.opensearch.engine import _parts
from services.chunker.repository.filters import narrowing
from services.chunker.settings import ChunkerSettings


def told(pks: range) -> Told:
    labels = {"author": "one", "path": None, "updated_at": datetime(2026, 1, 1, tzinfo=UTC)}
    vectors = {3: halfvecs(np.array([[3.0, 4.0], [0.0, 1.0]]))}
    documents = [Document(pk=pk, source_id="s", words=2, lexemes="relay outbox ", labels=labels, vectors=vectors)
                 for pk in pks]  # fmt: skip
    return Told(workspace="w1", documents=documents, gone=[900, 901], version=77)


def test_each_write_says_its_workspace_and_its_version() -> None:
    lines = list(bulk_lines(told(range(2))))
    operations = [next(iter(line.items())) for line in lines if "pk" not in line]
    assert [name for name, _ in operations] == ["index", "index", "delete", "delete"]
    assert all((one["routing"], one["version"], one["version_type"]) == ("w1", 77, "external") for _, one in operations)
    document = lines[1]
    assert [one["vector"] for one in document["vectors_3"]] == [pytest.approx([0.6, 0.8], abs=1e-3), [0.0, 1.0]]
    assert "path" not in document
    assert document["updated_at"] == 1_767_225_600_000_000


def test_parts_of_a_telling_keep_an_operation_with_its_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.chunker.index.opensearch.engine.LINES", 3)
    lines = list(bulk_lines(told(range(5))))
    parts = list(_parts(lines))
    assert [line for part in parts for line in part] == lines
    assert len(parts) > 2
    for part in parts:
        assert "pk" not in part[0]
        assert "index" not in part[-1]


def test_question_is_of_one_workspace_and_leaves_out_what_others_rank() -> None:
    narrow = narrowing(Filters(path="docs/", authors=("one",)), ["retry policy"], ["polici", "retri"])
    body = rank_body(Scope("w1", ["fresh"], narrow), [Word("relay", 2.0)], 12.5, 10)
    query = body["query"]["bool"]
    assert {"term": {"workspace_id": "w1"}} in query["filter"]
    assert {"prefix": {"path": "docs/"}} in query["filter"]
    assert {"terms": {"author": ["one"]}} in query["filter"]
    assert {"term": {"lexemes": "polici"}} in query["filter"]
    assert query["must_not"] == [{"terms": {"source_id": ["fresh"]}}]
    (weighed,) = query["should"]
    assert weighed["script_score"]["script"]["params"] == {"idf": 2.0, "mean": 12.5, "k1": K1, "b": B}


@pytest.mark.parametrize("cosine", [-1.0, -0.25, 0.0, 0.5, 1.0])
def test_similarity_is_read_back_from_the_engines_score(cosine: float) -> None:
    score = cosine + 1 if cosine >= 0 else 1 / (1 - cosine)  # Lucene's maximum inner product
    assert similarity(score) == pytest.approx(cosine)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"SEARCH_INDEX": "opensearch"}, "OPENSEARCH_URL is not set"),
        ({"SEARCH_INDEX": "elastic"}, "SEARCH_INDEX has no valid value"),
        ({"OPENSEARCH_URL": "http://search.example:9200"}, "OPENSEARCH_URL must be https"),
        ({"OPENSEARCH_URL": "https://someone:pass@search.example"}, "OPENSEARCH_URL must be"),
        ({"OPENSEARCH_PASSWORD": "long-enough-for-it"}, "OPENSEARCH_USER is not set"),
        ({"OPENSEARCH_WORKERS": "65"}, "OPENSEARCH_WORKERS must lie between"),
    ],
)
def test_setting_at_fault_is_named_at_start(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_settings(ChunkerSettings, {**DESCRIBING, **environ})
