"""What the settings put beside Postgres; an installation without it loads nothing of the engine's client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.errors import ConfigurationError
from libs.common.http.client import OutboundClient
from services.chunker.index.postgres import PostgresIndex
from services.chunker.index.protocol import Reading, SearchIndex
from services.chunker.index.switching import SwitchingIndex
from services.chunker.settings import ChunkerSettings

if TYPE_CHECKING:
    from services.chunker.index.opensearch.engine import Engine


@dataclass(frozen=True)
class Beside:
    """`answers`: the engine is to answer searches; else it is only to drop what it still holds."""

    engine: Engine | None = None
    outbound: OutboundClient | None = None
    answers: bool = False

    def index(self, db: Database) -> SearchIndex:
        if self.engine is None or not self.answers:
            return PostgresIndex(db)
        return mirrored(db, self.engine)

    async def aclose(self) -> None:
        if self.outbound is not None:
            await self.outbound.aclose()


def mirrored(db: Database, engine: Engine) -> SwitchingIndex:
    from services.chunker.index.opensearch.reading import OpenSearchReading

    def reading(tx: Transaction, mirror: str, fresh: Sequence[str]) -> Reading:
        return OpenSearchReading(tx, engine, mirror, tx.workspace or "", fresh)

    return SwitchingIndex(db, reading)


def chosen_engine(settings: ChunkerSettings, outbound: OutboundClient) -> Beside:
    """The cluster is the installation's own: its address alone may be a private one. Raises ConfigurationError."""
    if not settings.opensearch_url:
        return Beside()
    try:
        from services.chunker.index.opensearch.connection import connect
        from services.chunker.index.opensearch.engine import Engine
    except ImportError:
        raise ConfigurationError("OPENSEARCH_URL needs the extra: pip install 'sluice[opensearch]'") from None
    own = outbound.for_own(settings.opensearch_url)
    client = connect(settings.opensearch_url, settings.opensearch_user, settings.opensearch_password, own)
    return Beside(Engine(client), own, settings.search_index == "opensearch")
