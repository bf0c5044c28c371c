"""What the chunker reads from its environment."""

from __future__ import annotations

from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings


class ChunkerSettings(CommonSettings, frozen=True, kw_only=True):
    """`chunk_tokens` is the budget of a chunk (cl100k); changing it moves chunk ids, so it asks for a re-index."""

    chunk_tokens: int = 256
    index_workers: int = 2
    index_batch: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sync_url:
            raise ConfigurationError("SYNC_URL is not set: the chunker reads content from the sync service")
        if not 32 <= self.chunk_tokens <= 8192:
            raise ConfigurationError("CHUNK_TOKENS must lie between 32 and 8192")
