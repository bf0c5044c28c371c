"""What the services hold, as one checksum a table, and how much they have ever told."""

from __future__ import annotations

from libs.local.state import SERVICES
from tests.chaos.stack import Stack

TABLES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = ANY($1::text[])"
# The relay's own bookkeeping follows the broker. Everything else is truth: not a byte of it may differ.
BOOKKEEPING = {"outbox", "relay", "relay_log"}


async def checksums(stack: Stack) -> dict[str, str]:
    """Whole rows, times of writing included: a row that was written again with the same content shows."""
    found = {}
    for schema, table in sorted(tuple(row) for row in await stack.rows(TABLES, list(SERVICES))):
        if table not in BOOKKEEPING:
            sql = f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) AS sum FROM {schema}.{table} t"
            found[f"{schema}.{table}"] = str((await stack.rows(sql))[0]["sum"])
    return found


async def told(stack: Stack) -> dict[str, int]:
    """Events ever emitted, by service."""
    return {service: await stack.number(f"SELECT count(*) FROM {service}.outbox") for service in SERVICES}


WAITING = (
    "auth.job", "sync.work", "sync.dirty_object", "sync.discovery", "webhooks.job",
    "chunker.index_wanted", "chunker.embed_wanted", "chunker.summary_wanted", "chunker.summary_change",
)  # fmt: skip


async def assert_quiet(stack: Stack) -> None:
    """Nothing waits to be published, read again, indexed, summarised, cleared away or reported."""
    for service in SERVICES:
        assert not await stack.number(f"SELECT count(*) FROM {service}.outbox WHERE published_at IS NULL")
    for table in WAITING:
        assert not await stack.number(f"SELECT count(*) FROM {table}"), table
    assert not await stack.number("SELECT count(*) FROM sync.cleanup WHERE kind <> 'expired'")
    assert not await stack.number("SELECT count(*) FROM sync.observed_state WHERE reported_version < version")
