"""All that a search knows of what ranks: whoever answers these questions can be the index."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from libs.common.database.transaction import Row, Transaction
from services.chunker.domain.embedding import QueryVector
from services.chunker.domain.query import Parsed
from services.chunker.domain.searching import Read, Word
from services.chunker.repository.filters import Narrowing


class Reading(Protocol):
    """One search's view of the index of one workspace. `pk` is a chunk's key in Postgres, which holds the truth.

    Every chunk that is named here is allowed by row-level security and by what narrows the search.
    """

    def truth(self) -> AbstractAsyncContextManager[Transaction]:
        """Where the chunks themselves are read: at one moment, of this workspace alone."""
        ...

    async def read(self, parsed: Parsed) -> Read:
        """What the workspace holds of a query's words."""
        ...

    async def count(self, lexemes: Sequence[str]) -> dict[str, int]:
        """In how many chunks each stands."""
        ...

    async def alike(self, words: Sequence[str], limit: int) -> dict[str, list[str]]:
        """For each word the lexemes that look like it, the most alike first."""
        ...

    async def rank(self, words: Sequence[Word], mean: float, narrow: Narrowing | None, depth: int) -> dict[int, float]:
        """The BM25 score of the best chunks, best first, at most `depth`; fewer only if no others match."""
        ...

    async def nearest(self, query: QueryVector, depth: int, narrow: Narrowing | None) -> dict[int, float]:
        """The cosine of the chunks that lie nearest, best first; of equal ones the older come first."""
        ...

    async def matched(self, pks: Sequence[int], words: Sequence[Word]) -> Sequence[Row]:
        """Which of the words stand in these chunks: `chunk_pk`, `lexeme`, `frequency`, and `words` of the chunk."""
        ...


class SearchIndex(Protocol):
    def reading(self, workspace: str) -> AbstractAsyncContextManager[Reading]: ...
