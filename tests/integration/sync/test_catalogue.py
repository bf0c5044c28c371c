"""Pages of sources: in order of id whatever is asked, and without reading what was not asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.sync.repository import catalogue
from services.sync.repository.catalogue import Filter
from tests.integration.sync.engine import Engine
from tests.support.figures import Tell

MANY = 20_000
RARE = 7  # and the last of all, so that whoever walks the workspace reads all of it
SOURCES = f"""
INSERT INTO source
  (id, workspace_id, integration_id, resource_id, provider, external_key, type, name, seen_hash, version)
SELECT to_char(g, 'FM000000'), $1, 'i', 'r', 'double', 'k' || g,
  CASE WHEN g > {MANY - RARE} THEN 'repository' WHEN g % 3 = 0 THEN 'issue' ELSE 'file' END, 'n' || g, '', 1
FROM generate_series(1, {MANY}) g
"""


@pytest.fixture
async def large(engine: Engine) -> AsyncIterator[Engine]:
    await engine.admin.execute(SOURCES, engine.workspace)
    await engine.admin.execute("VACUUM ANALYZE source")
    yield engine
    await engine.admin.execute("DELETE FROM source WHERE workspace_id = $1", engine.workspace)


async def looked_at(engine: Engine, **named: str) -> int:
    """Rows that Postgres read to answer the first page."""
    arguments = {"workspace": engine.workspace, "after": "", "limit": 50, **named}
    async with engine.deps.db.transaction(engine.workspace) as tx:
        [row] = await tx.fetch_all(f"EXPLAIN (ANALYZE, FORMAT JSON) {catalogue.page_sql(named)}", **arguments)
    found = row["QUERY PLAN"]
    return _rows((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])


def _rows(node: dict[str, Any]) -> int:
    reads = node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    own = reads if "Relation Name" in node else 0
    return int(own) + sum(_rows(child) for child in node.get("Plans", []))


async def test_page_of_a_rare_type_reads_that_type_alone(large: Engine, figure: Tell) -> None:
    rare = await looked_at(large, type="repository")
    figure("sources_read_for_a_rare_type", rare, "rows", RARE)
    assert rare == RARE
    for named in ({}, {"type": "file"}, {"type": "issue", "integration": "i"}):
        assert await looked_at(large, **named) <= 4 * 50


async def test_pages_of_all_types_are_in_one_order_and_none_is_left_out(large: Engine) -> None:
    found: list[str] = []
    async with large.deps.db.transaction(large.workspace) as tx:
        while rows := await catalogue.page(tx, Filter(), after=found[-1] if found else "", limit=3_000):
            found += [row["id"] for row in rows]
        rare = await catalogue.page(tx, Filter(type="repository"), after="", limit=50)
    assert found == [f"{number:06}" for number in range(1, MANY + 1)]
    assert [row["id"] for row in rare] == found[-RARE:]
