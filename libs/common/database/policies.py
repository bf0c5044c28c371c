"""Row-level security as SQL text, written the same way for every table of every service.

Two roles serve a service: `<svc>_app` sees the rows of the workspace named in the transaction and no other;
`<svc>_worker` sees the named queue tables whole, so that work is claimed across workspaces, and nothing else.
The owner role only migrates; locating a row's workspace by its id goes through one function of the owner.
"""

from __future__ import annotations

CURRENT_WORKSPACE = "nullif(current_setting('app.workspace', true), '')"


def tenant_table(service: str, table: str) -> tuple[str, ...]:
    """Rows are visible and writable only inside a transaction of their own workspace."""
    rule = f"workspace_id = {CURRENT_WORKSPACE}"
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY {table}_workspace ON {table} TO {service}_app USING ({rule}) WITH CHECK ({rule})",
    )


def queue_table(service: str, table: str) -> tuple[str, ...]:
    """A tenant table whose rows the worker role may also claim, across workspaces."""
    return (
        *tenant_table(service, table),
        f"CREATE POLICY {table}_worker ON {table} TO {service}_worker USING (true) WITH CHECK (true)",
    )


def locatable(service: str, table: str) -> tuple[str, ...]:
    """`locate_<table>(id)` answers the workspace of a row, and nothing else of it, to a caller that knows its id."""
    return (
        f"CREATE POLICY {table}_locate ON {table} FOR SELECT TO {service}_owner USING (true)",
        f"CREATE FUNCTION locate_{table}(wanted text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER "
        f"SET search_path = {service} AS 'SELECT workspace_id FROM {table} WHERE id = wanted'",
        f"REVOKE ALL ON FUNCTION locate_{table}(text) FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION locate_{table}(text) TO {service}_app, {service}_worker",
    )


def filtered_table(table: str) -> tuple[str, ...]:
    """The same rule as a filter that no index serves, for large tables that are read by other keys.

    A planner that believes a workspace small (its statistics are older than a first sync) else reads all of it by an
    index that begins with workspace_id, page after page. A query that wants that index names the workspace itself.
    """
    rule = f"workspace_id IS NOT DISTINCT FROM {CURRENT_WORKSPACE}"
    return (f"ALTER POLICY {table}_workspace ON {table} USING ({rule}) WITH CHECK ({rule})",)
