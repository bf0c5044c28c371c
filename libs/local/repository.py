"""What the command line itself asks of the database, as its administrator: is anything of a workspace left?"""

from __future__ import annotations

import asyncpg

# Kept on purpose: the tombstone of the id, who did what, and the facts that tell every other service.
KEPT_TABLES = ("erased_workspace", "audit")
KEPT_TOPICS = ("workspace.deleted", "integration.disconnected")

TENANT_TABLES = """
SELECT table_schema, table_name FROM information_schema.columns
WHERE column_name = 'workspace_id' AND table_schema = ANY($1::text[]) AND NOT table_name = ANY($2::text[])
  AND (table_schema, table_name) IN (SELECT table_schema, table_name FROM information_schema.tables
                                     WHERE table_type = 'BASE TABLE')
ORDER BY 1, 2
"""


async def remaining_rows(url: str, services: list[str], workspace: str) -> dict[str, int]:
    """`<schema>.<table>` → rows of that workspace, only where there are any; `url` is the administrator's."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(TENANT_TABLES, services, list(KEPT_TABLES))
        counts = {f"{schema}.{table}": await _count(connection, schema, table, workspace) for schema, table in tables}
    finally:
        await connection.close()
    return {name: rows for name, rows in counts.items() if rows}


async def _count(connection: asyncpg.Connection, schema: str, table: str, workspace: str) -> int:
    told = " AND NOT topic = ANY($2::text[])" if table == "outbox" else ""
    arguments = [workspace, list(KEPT_TOPICS)] if told else [workspace]
    # Names come from the catalogue and are quoted; the workspace is bound.
    sql = f'SELECT count(*) FROM "{schema}"."{table}" WHERE workspace_id = $1{told}'  # noqa: S608
    return int(await connection.fetchval(sql, *arguments))
