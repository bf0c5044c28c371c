"""What Postgres does for a statement, by its own word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from libs.common.database.transaction import Transaction


async def scans(tx: Transaction, sql: str, *arguments: object) -> list[str]:
    """`Index Scan on poll_schedule by poll_schedule_due`, for each node that reads a table or an index."""
    return scans_of(await (await tx.driver()).fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *arguments))


def scans_of(explained: Any) -> list[str]:
    """The same of what EXPLAIN (FORMAT JSON) answered."""
    plan = json.loads(explained) if isinstance(explained, str) else explained
    return sorted(_scans(plan[0]["Plan"]))


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if "Scan" in node["Node Type"] and ("Relation Name" in node or "Index Name" in node):
        on = f" on {node['Relation Name']}" if "Relation Name" in node else ""
        by = f" by {node['Index Name']}" if "Index Name" in node else ""
        yield f"{node['Node Type']}{on}{by}"
    for child in node.get("Plans", []):
        yield from _scans(child)
