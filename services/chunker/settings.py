"""What the chunker reads from its environment."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from libs.common.errors import ConfigurationError
from libs.common.http.addresses import endpoint
from libs.common.settings import CommonSettings, is_loopback, means, placed
from services.chunker.domain.searching import Fusion

LARGEST_DIMENSION = 3840  # a halfvec of this many still lies in its row


class ChunkerSettings(CommonSettings, frozen=True, kw_only=True):
    """Changing the budget of a chunk moves chunk ids, so it asks for a re-index."""

    sync_url: Annotated[str, placed("sync inside the network: content is read from its batch route")]
    chunk_tokens: Annotated[int, means("budget of a chunk (cl100k); another one asks for a re-index")] = 256
    index_workers: Annotated[int, means("sources that one replica indexes at a time")] = 2
    index_batch: Annotated[int, means("sources that one worker claims at a time")] = 40
    search_fusion: Annotated[Fusion, means("how words and vectors become one score: minmax or rrf")] = "minmax"
    search_depth: Annotated[int, means("candidates that each ranking of a search gives at first")] = 100
    search_index: Annotated[
        Literal["postgres", "opensearch"], means("what ranks; opensearch for installations that outgrew one Postgres")
    ] = "postgres"
    opensearch_url: Annotated[
        str, means("of the cluster, with the k-NN plugin; kept while SEARCH_INDEX=postgres, what it holds is dropped")
    ] = ""
    opensearch_user: Annotated[str, means("sent with OPENSEARCH_PASSWORD; empty = without")] = ""
    opensearch_password: Annotated[str, means("of OPENSEARCH_USER")] = ""
    opensearch_workers: Annotated[int, means("batches of changes that one replica tells OpenSearch at a time")] = 2
    embedder: Annotated[
        Literal["bundled", "bge-small", "openai", "none", "hash"],
        means(
            "bundled (two small models on this CPU), bge-small (the first of them alone), openai (any endpoint that "
            "speaks /v1/embeddings), none (words only); hash: tests"
        ),
    ] = "bundled"
    embedding_model_dir: Annotated[str, placed("model.onnx and tokenizer.json of each bundled model, by its name")] = ""
    embedding_threads: Annotated[int, means("threads that compute one text of the bundled models")] = 1
    embedding_workers: Annotated[int, means("batches that one replica embeds at a time; 0 = another replica does")] = 1
    embedding_batch: Annotated[int, means("chunks of a batch, and of one request to an endpoint")] = 32
    embedding_url: Annotated[str, means("of openai: the address before /embeddings, https://api.example.com/v1")] = ""
    embedding_model: Annotated[str, means("of openai: the model's name there")] = ""
    embedding_api_key: Annotated[str, means("of openai: sent as a bearer; empty = none")] = ""
    embedding_dimension: Annotated[int, means("numbers of a vector of EMBEDDING_MODEL; of hash too")] = 384
    embedding_previous_url: Annotated[
        str, means("while EMBEDDING_MODEL changes: where the one before still answers queries; empty = EMBEDDING_URL")
    ] = ""
    embedding_previous_model: Annotated[str, means("its name; empty = searches go by words until the switch")] = ""
    embedding_previous_api_key: Annotated[
        str, means("its key; empty = EMBEDDING_API_KEY if the address is the same")
    ] = ""
    embedding_previous_dimension: Annotated[int, means("numbers of its vectors")] = 384
    summary_url: Annotated[
        str, means("writes summaries: the address before /chat/completions, https://api.example.com/v1; empty = none")
    ] = ""
    summary_model: Annotated[str, means("the model that it is asked for; needed with SUMMARY_URL")] = ""
    summary_api_key: Annotated[str, means("what it is called with; empty = without a key")] = ""
    summary_tokens_per_day: Annotated[
        int, means("tokens that the summaries of one workspace may cost a day; then they are extracted")
    ] = 200_000
    summary_workers: Annotated[int, means("trees that one replica summarises at a time: calls at once")] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 32 <= self.chunk_tokens <= 8192:
            raise ConfigurationError("CHUNK_TOKENS must lie between 32 and 8192")
        if not 10 <= self.search_depth <= 1000:
            raise ConfigurationError("SEARCH_DEPTH must lie between 10 and 1000")
        self._check_amounts()
        self._require_safe("SUMMARY_URL", self.summary_url)
        if self.summary_url and not self.summary_model:
            raise ConfigurationError("SUMMARY_MODEL is not set: SUMMARY_URL needs it")
        self._check_index()
        if self.embedder == "openai":
            self._require_endpoint()
        self._require_safe("EMBEDDING_PREVIOUS_URL", self.embedding_previous_url)

    def _check_index(self) -> None:
        if self.search_index == "opensearch" and not self.opensearch_url:
            raise ConfigurationError("OPENSEARCH_URL is not set: SEARCH_INDEX=opensearch needs it")
        self._require_safe("OPENSEARCH_URL", self.opensearch_url)
        if self.opensearch_password and not self.opensearch_user:
            raise ConfigurationError("OPENSEARCH_USER is not set: OPENSEARCH_PASSWORD needs it")

    def _check_amounts(self) -> None:
        allowed = {
            "embedding_threads": (1, 256),
            "embedding_workers": (0, 64),
            "embedding_batch": (1, 2048),
            "embedding_dimension": (1, LARGEST_DIMENSION),
            "embedding_previous_dimension": (1, LARGEST_DIMENSION),
            "summary_workers": (1, 32),
            "opensearch_workers": (0, 64),
            "summary_tokens_per_day": (0, 10**12),
        }
        for name, (least, most) in allowed.items():
            if not least <= getattr(self, name) <= most:
                raise ConfigurationError(f"{name.upper()} must lie between {least} and {most}")

    def _require_endpoint(self) -> None:
        for name in ("embedding_url", "embedding_model"):
            if not getattr(self, name):
                raise ConfigurationError(f"{name.upper()} is not set: EMBEDDER=openai needs it")
        self._require_safe("EMBEDDING_URL", self.embedding_url)

    def _require_safe(self, name: str, url: str) -> None:
        """All texts go there: encrypted, unless it is this machine or an address that the operator has named."""
        if not url:
            return
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ConfigurationError(f"{name} must be an http or https URL without a user name")
        named = endpoint(parts.hostname, parts.port or 80) in {one.lower() for one in self.allowed_private_endpoints}
        if parts.scheme == "http" and not named and not is_loopback(parts.hostname):
            raise ConfigurationError(f"{name} must be https: http is for ALLOWED_PRIVATE_ENDPOINTS alone")
