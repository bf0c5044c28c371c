"""An OpenSearch that holds mirrors: made, told, asked, erased and dropped by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from opensearchpy import AsyncOpenSearch, TransportError

from libs.common.errors import DependencyDown
from services.chunker.domain.embedding import QueryVector
from services.chunker.domain.mirroring import Told
from services.chunker.domain.searching import Held, Word
from services.chunker.index.opensearch import bodies
from services.chunker.index.opensearch.bodies import Scope

WRITE_S = 20.0  # one request that writes; a lease is longer
LINES = 5000  # of one bulk request: some 10 MB
MISSING, STALE = 404, 409


class Page(msgspec.Struct, frozen=True):
    """`scores` by chunk, best first. `after`: where the next page begins, None at the end."""

    scores: dict[int, float]
    after: list[Any] | None


class Engine:
    """`prefix` parts installations that share a cluster. Raises DependencyDown for whatever the engine cannot do."""

    def __init__(self, client: AsyncOpenSearch, prefix: str = "sluice-chunks", refresh: str = "1s") -> None:
        self._client = client
        self._refresh = refresh
        self._prefix = prefix

    async def ready(self) -> bool:
        try:
            with _failures():
                await self._client.cluster.health(params={"request_timeout": 2.0})
        except DependencyDown:
            return False
        return True

    async def exists(self, mirror: str) -> bool:
        with _failures():
            return bool(await self._client.indices.exists(index=self._alias(mirror)))

    async def make(self, mirror: str) -> None:
        body = bodies.index_body(self._refresh) | {"aliases": {self._alias(mirror): {}}}
        with _failures():
            await self._client.indices.create(index=self._index(mirror), body=body, params=WRITE)

    async def drop(self, mirror: str) -> None:
        with _failures():
            await self._client.indices.delete(index=self._index(mirror), params={**WRITE, "ignore": [MISSING]})

    async def take_vectors(self, mirror: str, dimensions: Mapping[int, int]) -> None:
        """Of these generations, by their dimensions; again is harmless."""
        if dimensions:
            with _failures():
                body = bodies.vectors_body(dimensions)
                await self._client.indices.put_mapping(index=self._alias(mirror), body=body, params=WRITE)

    async def tell(self, mirror: str, told: Told) -> None:
        """What a newer telling wrote stays as it is. Searches find it when this returns."""
        for part in _parts(list(bodies.bulk_lines(told))):
            with _failures():
                answer = await self._client.bulk(index=self._alias(mirror), body=part, params=TELL)
            _require_taken(answer)

    async def refresh(self, mirror: str) -> None:
        """All that was told is found from now on."""
        with _failures():
            await self._client.indices.refresh(index=self._alias(mirror), params=WRITE)

    async def erase(self, mirror: str, workspace: str, version: int) -> None:
        """Ends when a search of the whole workspace finds nothing."""
        while True:
            await self.refresh(mirror)
            found = await self._search(mirror, workspace, bodies.workspace_body(Scope(workspace), LINES))
            pks = [_pk(hit) for hit in found["hits"]["hits"]]
            if not pks:
                return
            await self.tell(mirror, Told(workspace=workspace, documents=(), gone=pks, version=version))

    async def bytes(self, mirror: str) -> int:
        """What it has on disk, each replica counted."""
        with _failures():
            found = await self._client.indices.stats(index=self._alias(mirror), metric="store")
        return int(found["_all"]["total"]["store"]["size_in_bytes"])

    async def held(self, mirror: str, scope: Scope, lexemes: Sequence[str]) -> Held:
        found = await self._search(mirror, scope.workspace, bodies.held_body(scope, lexemes))
        buckets = found["aggregations"].get("held", {"buckets": {}})["buckets"]
        counts = {lexeme: buckets[str(n)]["doc_count"] for n, lexeme in enumerate(lexemes)}
        return Held(found["hits"]["total"]["value"], found["aggregations"]["words"]["value"], counts)

    async def rank(
        self, mirror: str, scope: Scope, words: Sequence[Word], mean: float, size: int, after: list[Any] | None
    ) -> Page:
        body = bodies.rank_body(scope, words, mean, size)
        if after:
            body["search_after"] = after
        hits = (await self._search(mirror, scope.workspace, body))["hits"]["hits"]
        scores = {_pk(hit): float(hit["_score"]) for hit in hits}
        return Page(scores, hits[-1]["sort"] if len(hits) == size else None)

    async def nearest(self, mirror: str, scope: Scope, query: QueryVector, size: int) -> dict[int, float]:
        found = await self._search(mirror, scope.workspace, bodies.nearest_body(scope, query, size))
        return {_pk(hit): bodies.similarity(float(hit["_score"])) for hit in found["hits"]["hits"]}

    async def _search(self, mirror: str, workspace: str, body: bodies.Body) -> Any:
        with _failures():
            return await self._client.search(index=self._alias(mirror), body=body, params={"routing": workspace})

    def _index(self, mirror: str) -> str:
        return f"{self._prefix}-{mirror}"

    def _alias(self, mirror: str) -> str:
        """Everything goes by it: an engine that lost its index refuses, instead of making another one as it likes."""
        return f"{self._prefix}-{mirror}-alias"


WRITE = {"request_timeout": WRITE_S}
TELL = {**WRITE, "require_alias": "true", "refresh": "wait_for"}


def _pk(hit: Mapping[str, Any]) -> int:
    return int(hit["fields"]["pk"][0])


def _parts(lines: Sequence[bodies.Body]) -> Iterator[list[bodies.Body]]:
    """An operation and its document stay together."""
    part: list[bodies.Body] = []
    for line in lines:
        if len(part) >= LINES and ("index" in line or "delete" in line) and "pk" not in line:
            yield part
            part = []
        part.append(line)
    if part:
        yield part


def _require_taken(answer: Mapping[str, Any]) -> None:
    """A write that comes late, and the delete of what is not there, are as they should be."""
    outcomes = (next(iter(item.values())) for item in answer["items"])
    refused = [one for one in outcomes if one["status"] >= 300 and one["status"] not in (MISSING, STALE)]
    if refused:
        raise DependencyDown(f"OpenSearch refuses {len(refused)} chunks: {refused[0]['error']['type']}")


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except TransportError as error:
        hint = ": are OPENSEARCH_USER and OPENSEARCH_PASSWORD right?" if error.status_code in (401, 403) else ""
        raise DependencyDown(f"OpenSearch answered {error.status_code} {error.error}{hint}") from None
