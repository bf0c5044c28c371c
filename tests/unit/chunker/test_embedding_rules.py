"""Vectors as bytes, the settings of embedders, and which way to look for the nearest."""

from __future__ import annotations

import asyncio
import struct
import threading

import numpy as np
import pytest

from libs.common.errors import ConfigurationError
from libs.common.settings import load_settings
from services.chunker.domain.embedding import EXACT_UP_TO, kept, reads_all, visited
from services.chunker.embedding.choosing import Embedders, chosen
from services.chunker.embedding.halfvec import halfvecs, numbers
from services.chunker.embedding.hashed import HashedWords
from services.chunker.settings import ChunkerSettings

GIVEN = {
    "DATABASE_URL": "postgresql://localhost/none",
    "WORKER_DATABASE_URL": "postgresql://localhost/none",
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
    "REDIS_URL": "redis://localhost:1",
    "SERVICE_SIGNING_KEYS_DIR": ".",
    "SYNC_URL": "http://localhost:1",
}


def settings(**more: str) -> ChunkerSettings:
    return load_settings(ChunkerSettings, {**GIVEN, **more})


def test_vector_is_written_as_pgvector_reads_it() -> None:
    (written,) = halfvecs([[3.0, 4.0]])
    assert written == struct.pack(">hhee", 2, 0, 0.6, 0.8)
    assert np.allclose(numbers([written]), [[0.6, 0.8]], atol=1e-3)


def test_row_of_zeros_has_no_direction() -> None:
    assert not numbers(halfvecs([[0.0, 0.0]])).any()


async def test_hashed_words_are_the_same_everywhere_and_nearest_to_themselves() -> None:
    texts = ["restart the server", "bananas are yellow", "the server restarts"]
    made = numbers(await HashedWords(384).embed_passages(texts))
    assert (made @ made.T).argmax(axis=1).tolist() == [0, 1, 2]
    assert made[0] @ made[2] > made[0] @ made[1]
    assert (await HashedWords(384).embed_query(texts[0])).hex()[:24] == (await HashedWords(384).embed_passages(texts))[
        0
    ].hex()[:24]


def test_small_workspace_and_small_part_of_many_are_read_whole() -> None:
    assert reads_all(100, EXACT_UP_TO, 10**9)
    assert not reads_all(100, 100_000, 100_000)
    assert reads_all(100, 100_000, 10**8), "a thousandth of the graph: most of what a walk meets is of others"
    assert visited(100, 10_000, 100_000) == 4_000


@pytest.mark.parametrize(("wanted", "held"), [(1, 100), (50, 100), (51, 102), (499, 998), (501, 1000), (10_000, 1000)])
def test_walk_keeps_twice_what_is_asked_at_least_a_hundred_and_no_more_than_the_index_can(
    wanted: int, held: int
) -> None:
    assert kept(wanted, 1000) == held


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"EMBEDDER": "openai"}, "EMBEDDING_URL"),
        ({"EMBEDDER": "openai", "EMBEDDING_URL": "https://a.example/v1"}, "EMBEDDING_MODEL"),
        ({"EMBEDDER": "openai", "EMBEDDING_URL": "http://a.example", "EMBEDDING_MODEL": "m"}, "EMBEDDING_URL"),
        ({"EMBEDDING_PREVIOUS_URL": "http://a.example"}, "EMBEDDING_PREVIOUS_URL"),
        ({"EMBEDDING_DIMENSION": "5000"}, "EMBEDDING_DIMENSION"),
        ({"EMBEDDING_BATCH": "0"}, "EMBEDDING_BATCH"),
        ({"EMBEDDER": "word2vec"}, "EMBEDDER"),
    ],
)
def test_setting_that_cannot_work_is_named_at_the_start(given: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        settings(**given)


def test_plain_http_is_for_addresses_that_the_operator_named() -> None:
    given = {"EMBEDDER": "openai", "EMBEDDING_URL": "http://inside:8080/v1", "EMBEDDING_MODEL": "m"}
    assert settings(**given, ALLOWED_PRIVATE_ENDPOINTS="inside:8080").embedding_model == "m"


async def test_bundled_model_that_is_not_there_leaves_searches_by_words() -> None:
    embedders = chosen(settings(), None)  # type: ignore[arg-type]
    assert await embedders.ready() is False
    assert embedders.target == ("bge-small-en-v1.5-q+all-minilm-l6-v2-q", 768)
    assert chosen(settings(EMBEDDER="bge-small"), None).target == ("bge-small-en-v1.5-q", 384)  # type: ignore[arg-type]


async def test_model_is_loaded_once_however_many_lose_patience_meanwhile() -> None:
    made = threading.Event()
    loads = 0

    def load() -> HashedWords:
        nonlocal loads
        loads += 1
        made.wait(10)
        return HashedWords(8)

    embedders = Embedders(("slow", 8), {"slow": load})
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await embedders.ready()
    made.set()
    assert await embedders.ready()
    assert loads == 1
    await embedders.aclose()


async def test_key_of_the_new_endpoint_is_not_sent_to_the_one_before() -> None:
    given = {
        "EMBEDDER": "openai", "EMBEDDING_URL": "https://new.example/v1", "EMBEDDING_MODEL": "n",
        "EMBEDDING_API_KEY": "new-key", "EMBEDDING_PREVIOUS_URL": "https://old.example/v1",
        "EMBEDDING_PREVIOUS_MODEL": "o", "EMBEDDING_PREVIOUS_DIMENSION": "8",
    }  # fmt: skip
    embedders = chosen(settings(**given), None)  # type: ignore[arg-type]
    before = await embedders.named("openai:o:8")
    assert before is not None
    assert before._headers == {}  # type: ignore[attr-defined]
