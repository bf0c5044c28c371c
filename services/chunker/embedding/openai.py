"""Any endpoint that speaks POST /embeddings as OpenAI wrote it: bounded requests, patient retries, checked answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from libs.common.errors import PassingFailure, ProviderContractBroken, ProviderUnavailable, RateLimited, RetryAfter
from libs.common.http.client import AddressRefused, OutboundClient, Response
from libs.common.http.retry_after import wait_asked
from services.chunker.chunking.tokens import counter
from services.chunker.embedding.halfvec import halfvecs
from services.chunker.embedding.protocol import TextRefused

MOST_TOKENS = 64_000  # of one request
AT_ONCE = 4
ATTEMPTS = 4
FIRST_WAIT_S = 0.5
UNSAID_WAIT = timedelta(seconds=1)
LONGEST_WAIT_S = 20.0  # what asks for more is told to whoever claimed the work, and waits there
TIMEOUT_S = 60.0
QUERY_TIMEOUT_S = 3.0
REFUSALS = {400, 413, 422}
LARGEST_ANSWER = 64 * 1024 * 1024


class _Vector(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Vector]


class EndpointEmbedder:
    """`url` is the address before /embeddings. The order of an answer is its `index`, never its place."""

    max_tokens = 8191

    def __init__(
        self, client: OutboundClient, *, url: str, model: str, dimension: int, key: str = "", batch: int = 32
    ) -> None:
        self.name = f"openai:{model}:{dimension}"
        self.dimension = dimension
        self._client = client
        self._url = url.rstrip("/") + "/embeddings"
        self._model = model
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._batch = batch
        self._places = asyncio.Semaphore(AT_ONCE)

    async def embed_passages(self, texts: Sequence[str]) -> list[bytes]:
        answers = await asyncio.gather(*(self._ask(request) for request in _requests(texts, self._batch)))
        return [vector for answer in answers for vector in answer]

    async def embed_query(self, text: str) -> bytes:
        """Asked once: a search answers by words rather than late."""
        return (await self._ask_once([text], QUERY_TIMEOUT_S))[0]

    async def aclose(self) -> None:
        """Whoever made the client closes it."""

    async def _ask(self, texts: Sequence[str]) -> list[bytes]:
        """What passes is asked again, as long as a caller would wait."""
        async with self._places:
            for attempt in range(ATTEMPTS):
                try:
                    return await self._ask_once(texts)
                except PassingFailure as error:
                    wait = _wait(error, attempt)
                    if attempt + 1 == ATTEMPTS or wait > LONGEST_WAIT_S:
                        raise
                await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _ask_once(self, texts: Sequence[str], timeout: float = TIMEOUT_S) -> list[bytes]:
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        answer = await self._send(body, timeout)
        _raise_for(answer)
        return self._vectors(answer.json(_Answer), len(texts))

    async def _send(self, body: object, timeout: float) -> Response:
        """An address that must not be called is the operator's to allow: until then it is one that is away."""
        try:
            return await self._client.request(
                "POST", self._url, headers=self._headers, json=body, timeout=timeout, largest_body=LARGEST_ANSWER
            )
        except AddressRefused as error:
            raise ProviderUnavailable(f"{error.detail}; ALLOWED_PRIVATE_ENDPOINTS names what may be") from None

    def _vectors(self, answer: _Answer, asked: int) -> list[bytes]:
        rows = {one.index: one.embedding for one in answer.data}
        if set(rows) != set(range(asked)):
            raise ProviderContractBroken(f"the embedding endpoint answered {len(rows)} vectors for {asked} texts")
        if wrong := {len(row) for row in rows.values()} - {self.dimension}:
            raise ProviderContractBroken(
                f"vectors have {wrong.pop()} numbers: EMBEDDING_DIMENSION says {self.dimension}"
            )
        return halfvecs([rows[place] for place in range(asked)])


def _requests(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    """Runs of texts, bounded in number and in tokens."""
    count = counter()
    run: list[str] = []
    tokens = 0
    for text in texts:
        size = count(text)
        if run and (len(run) == most or tokens + size > MOST_TOKENS):
            yield run
            run, tokens = [], 0
        run.append(text)
        tokens += size
    if run:
        yield run


def _raise_for(answer: Response) -> None:
    if answer.status == 200:
        return
    if answer.status == 429:
        until = datetime.now(UTC) + wait_asked(answer.headers, otherwise=UNSAID_WAIT)
        raise RateLimited("the embedding endpoint's rate limit is used up", until=until)
    if answer.status in REFUSALS:
        raise TextRefused(f"the embedding endpoint answered {answer.status}")
    hint = ": is EMBEDDING_API_KEY the right one?" if answer.status in (401, 403) else ""
    hint = hint or (": are EMBEDDING_URL and EMBEDDING_MODEL right?" if answer.status == 404 else "")
    raise ProviderUnavailable(f"the embedding endpoint answered {answer.status}{hint}")


def _wait(error: PassingFailure, attempt: int) -> float:
    if isinstance(error, RetryAfter):
        return max(FIRST_WAIT_S, (error.until - datetime.now(UTC)).total_seconds())
    return FIRST_WAIT_S * float(2**attempt)
