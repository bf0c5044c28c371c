"""An embedding endpoint behind the guarded client, on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from libs.common.errors import ProviderUnavailable
from libs.common.http.client import OutboundClient
from services.chunker.embedding.openai import EndpointEmbedder
from tests.integration.http.canary import Canary, Seen, answer, listening


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with listening() as found:
        yield found


def embedded(seen: Seen) -> bytes:
    texts = msgspec.json.decode(seen.body)["input"]
    data = [{"index": place, "embedding": [float(len(text)), 1.0]} for place, text in enumerate(texts)]
    return answer(200, msgspec.json.encode({"data": data}), content_type="application/json")


async def test_endpoint_that_the_operator_named_is_asked_until_it_answers(canary: Canary) -> None:
    refusals = [answer(429, retry_after="0"), answer(503)]
    canary.script = lambda seen: refusals.pop() if refusals else embedded(seen)
    async with OutboundClient([canary.endpoint]) as client:
        embedder = EndpointEmbedder(client, url=f"{canary.url}/v1", model="m", dimension=2, key="k")
        assert len(await embedder.embed_passages(["one", "three"])) == 2
    assert [seen.target for seen in canary.seen] == ["/v1/embeddings"] * 3
    assert canary.seen[-1].headers["authorization"] == "Bearer k"


async def test_private_address_that_nobody_named_is_not_called(canary: Canary) -> None:
    async with OutboundClient() as client:
        embedder = EndpointEmbedder(client, url=f"{canary.url}/v1", model="m", dimension=2, key="k")
        with pytest.raises(ProviderUnavailable, match="ALLOWED_PRIVATE_ENDPOINTS"):
            await embedder.embed_query("one")
    assert canary.connections == 0
