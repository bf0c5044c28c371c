"""What is asked of an embedding endpoint, and what its answers may be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import pytest

from libs.common.errors import ProviderContractBroken, ProviderUnavailable, RateLimited
from libs.common.http.client import Response
from services.chunker.embedding import openai
from services.chunker.embedding.halfvec import numbers
from services.chunker.embedding.openai import EndpointEmbedder
from services.chunker.embedding.protocol import TextRefused

KEY = "sk-not-to-be-told"


class Endpoint:
    """Plays the client: answers from `scripted` first, then a vector per text that says which text it is of."""

    def __init__(self, *scripted: Response) -> None:
        self.scripted = list(scripted)
        self.asked: list[dict[str, Any]] = []
        self.headers: Mapping[str, str] = {}
        self.under_way = self.most_under_way = 0

    async def request(self, method: str, url: str, *, headers: Any, json: Any, **_: object) -> Response:
        assert (method, url) == ("POST", "https://api.example.com/v1/embeddings")
        self.headers = headers
        self.asked.append(json)
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self.scripted.pop(0) if self.scripted else answer([[float(text), 1.0] for text in json["input"]])


def answer(rows: list[list[float]]) -> Response:
    data = [{"index": place, "embedding": row, "object": "embedding"} for place, row in enumerate(rows)]
    return said(200, {"object": "list", "data": list(reversed(data)), "model": "m"})


def said(status: int, body: object = None, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=httpx.Headers(named), body=msgspec.json.encode(body), url="", elapsed=0.0)


def embedder(endpoint: Endpoint, **more: Any) -> EndpointEmbedder:
    given = {"url": "https://api.example.com/v1/", "model": "m", "dimension": 2, "key": KEY, "batch": 3, **more}
    return EndpointEmbedder(endpoint, **given)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "FIRST_WAIT_S", 0.001)


async def test_vectors_stand_where_their_texts_stood_whatever_order_they_come_in() -> None:
    endpoint = Endpoint()
    found = numbers(await embedder(endpoint).embed_passages(["0", "1", "2", "3", "4", "5", "6"]))
    assert [round(float(x / y)) for x, y in found] == [0, 1, 2, 3, 4, 5, 6]
    assert [len(one["input"]) for one in endpoint.asked] == [3, 3, 1]
    assert endpoint.asked[0]["model"] == "m"
    assert endpoint.headers["authorization"] == f"Bearer {KEY}"


async def test_request_holds_no_more_tokens_than_an_endpoint_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "MOST_TOKENS", 2)
    endpoint = Endpoint()
    await embedder(endpoint).embed_passages(["1", "2", "3"])
    assert [one["input"] for one in endpoint.asked] == [["1", "2"], ["3"]]


async def test_few_requests_run_at_once() -> None:
    endpoint = Endpoint()
    await embedder(endpoint, batch=1).embed_passages([str(number) for number in range(40)])
    assert endpoint.most_under_way == openai.AT_ONCE


async def test_busy_endpoint_is_asked_again() -> None:
    endpoint = Endpoint(said(429, retry_after="0"), said(503))
    assert len(await embedder(endpoint).embed_passages(["1"])) == 1
    assert len(endpoint.asked) == 3


@pytest.mark.parametrize("seconds", ["3600", "9" * 30])
async def test_endpoint_that_asks_for_patience_is_left_alone_until_then(seconds: str) -> None:
    endpoint = Endpoint(said(429, retry_after=seconds))
    with pytest.raises(RateLimited):
        await embedder(endpoint).embed_passages(["1"])
    assert len(endpoint.asked) == 1


async def test_query_is_asked_once() -> None:
    endpoint = Endpoint(said(503))
    with pytest.raises(ProviderUnavailable):
        await embedder(endpoint).embed_query("1")
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_refused_text_is_told_from_a_passing_failure(status: int) -> None:
    with pytest.raises(TextRefused):
        await embedder(Endpoint(said(status))).embed_passages(["1"])


@pytest.mark.parametrize(("status", "setting"), [(401, "EMBEDDING_API_KEY"), (404, "EMBEDDING_MODEL")])
async def test_wrong_settings_are_named_and_the_key_is_not(status: int, setting: str) -> None:
    with pytest.raises(ProviderUnavailable) as failed:
        await embedder(Endpoint(*[said(status, {"error": KEY})] * openai.ATTEMPTS)).embed_passages(["1"])
    assert setting in failed.value.detail
    assert KEY not in failed.value.detail


@pytest.mark.parametrize(
    "broken",
    [
        answer([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
        answer([[1.0, 0.0]]),
        said(200, {"data": [{"index": 0, "embedding": [1.0, 0.0]}, {"index": 0, "embedding": [1.0, 0.0]}]}),
        said(200, {"embeddings": []}),
        said(200, {"data": [{"index": 0, "embedding": ["x", "y"]}, {"index": 1, "embedding": [1.0, 0.0]}]}),
    ],
)
async def test_answer_that_does_not_fit_is_used_for_nothing(broken: Response) -> None:
    with pytest.raises(ProviderContractBroken):
        await embedder(Endpoint(broken)).embed_passages(["1", "2"])
