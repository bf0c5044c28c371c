"""What a page costs the database: it reads its own rows alone, whatever the planner believes of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from libs.common.provider.sync import Observed, Part, PartSeen
from services.sync.domain.plan import Batch
from services.sync.repository.sources import KNOWN, STANDING
from services.sync.use_cases.apply import apply_batch
from tests.integration.sync.double import World
from tests.integration.sync.engine import Engine

STORED = 5_000
FILL = """
INSERT INTO source (id, workspace_id, integration_id, resource_id, provider, external_key, type, name, seen_hash,
  version)
SELECT 'fill-' || n, $1, 'i', 'fill', 'double', 'item:' || n, 'issue', 'n', '', 1 FROM generate_series(1, $2) AS n
"""


@pytest.fixture
async def large(engine: Engine) -> Engine:
    """A workspace that the planner's statistics have never heard of."""
    await engine.admin.execute(FILL, "ws-other", 50)
    await engine.admin.execute("ANALYZE source")
    await engine.admin.execute("DELETE FROM source")
    await engine.admin.execute(FILL, engine.workspace, STORED)
    return engine


@pytest.mark.parametrize("statement", [STANDING, KNOWN])
async def test_a_page_of_a_large_workspace_reads_its_own_rows_alone(large: Engine, statement: str) -> None:
    keys = [f"item:{number}" for number in range(1, 11)]
    async with large.deps.db.transaction(large.workspace) as tx:
        driver = await tx.driver()
        found = await driver.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", "fill", keys)
    nodes = list(_nodes(found[0]["Plan"]))
    assert sum(node["Actual Rows"] for node in nodes if node.get("Relation Name") == "source") == 10
    assert sum(node.get("Rows Removed by Filter", 0) for node in nodes) == 0


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


async def statements_of(engine: Engine, items: tuple[Observed, ...], *parts: PartSeen) -> list[str]:
    """What one page of these items sent, and that it wrote nothing is told by its transaction having no id."""
    sent: list[str] = []
    batch = Batch(
        workspace_id=engine.workspace, integration_id=engine.integration, resource_id="r", provider="double",
        stream="items", cause="poll", observed=items, parts=parts,
    )  # fmt: skip
    async with engine.deps.db.transaction(engine.workspace) as tx:
        driver = await tx.driver()
        with driver.query_logger(lambda query: sent.append(query.query)):
            await apply_batch(tx, batch)
        wrote = await driver.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
    return [*sent, "wrote"] if wrote else sent


def item(number: int) -> Observed:
    return Observed(
        key=f"item:{number}", type="issue", name="n", url="", content=f"text {number}", content_type="text/plain",
        revision="1",
    )  # fmt: skip


async def test_a_page_that_differs_in_nothing_is_one_look_and_a_new_one_three_statements(engine: Engine) -> None:
    await statements_of(engine, (item(100),))  # the driver's first look at types is not the page's
    await engine.forget_events()
    page = tuple(item(number) for number in range(50))
    first = await statements_of(engine, page)
    assert [statement.split()[0] for statement in first] == ["SELECT", "INSERT", "INSERT", "wrote"]
    assert await engine.one("SELECT count(*) FROM source") == len(await engine.events()) + 1 == 51

    assert await statements_of(engine, page) == [STANDING]
    assert len(await engine.events()) == 50


async def test_comments_that_were_read_before_are_not_written_again(engine: Engine) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    seen = [
        PartSeen(parent_key=f"item:{n}", part=Part(key=f"c{n}", author="bob", created_at=at, body="w"))
        for n in range(5)
    ]
    await statements_of(engine, tuple(item(number) for number in range(5)))
    assert (await statements_of(engine, (), *seen))[-1] == "wrote"
    told = len(await engine.events())

    again = await statements_of(engine, (), *seen)
    assert [statement.split()[0] for statement in again] == ["SELECT", "SELECT"]
    assert len(await engine.events()) == told == 10


async def test_a_page_that_brings_new_sources_is_seven_round_trips(engine: Engine, world: World) -> None:
    """BEGIN with the workspace, hold, look, sources, events, what the page leaves behind, COMMIT; and a validator where
    the answer had a new one."""
    world.repo("r1", items=100)  # so that not all that waits is the end of it
    sent: list[str] = []
    async with engine.deps.db.transaction(engine.workspace) as tx:
        (await tx.driver()).add_query_logger(lambda query: sent.append(query.query.strip()))
    await engine.sync()

    begins = [at for at, query in enumerate(sent) if query.startswith("BEGIN")]
    transactions = [sent[at:end] for at, end in pairwise([*begins, len(sent)])]
    pages = [one for one in transactions if any(query.startswith("INSERT INTO source ") for query in one)]
    assert pages
    assert min(sum("INTO validator" not in query for query in page) for page in pages) == 7
