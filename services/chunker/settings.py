"""What the chunker reads from its environment."""

from __future__ import annotations

from typing import Annotated

from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings, means, placed
from services.chunker.domain.searching import Fusion


class ChunkerSettings(CommonSettings, frozen=True, kw_only=True):
    """Changing the budget of a chunk moves chunk ids, so it asks for a re-index."""

    sync_url: Annotated[str, placed("sync inside the network: content is read from its batch route")]
    chunk_tokens: Annotated[int, means("budget of a chunk (cl100k); another one asks for a re-index")] = 256
    index_workers: Annotated[int, means("sources that one replica indexes at a time")] = 2
    index_batch: Annotated[int, means("sources that one worker claims at a time")] = 40
    search_fusion: Annotated[Fusion, means("how words and vectors become one score: minmax or rrf")] = "minmax"
    search_depth: Annotated[int, means("candidates that each ranking of a search gives at first")] = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 32 <= self.chunk_tokens <= 8192:
            raise ConfigurationError("CHUNK_TOKENS must lie between 32 and 8192")
        if not 10 <= self.search_depth <= 1000:
            raise ConfigurationError("SEARCH_DEPTH must lie between 10 and 1000")
