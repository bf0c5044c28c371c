"""Who serves: the database itself is asked for the roles behind every connection while a sync is under way."""

from __future__ import annotations

import pytest

from libs.local.roles import role_names
from libs.local.state import SERVICES
from tests.chaos.stack import Stack
from tests.chaos.syncing import begin, seed, slow_down
from tests.support.figures import Tell

pytestmark = pytest.mark.timeout(120)

SERVING = """
SELECT a.usename AS role, count(*) AS connections, bool_or(r.rolsuper) AS super, bool_or(r.rolbypassrls) AS bypasses,
  bool_or(EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid)) AS owns
FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename
WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() GROUP BY a.usename ORDER BY a.usename
"""


async def test_no_owner_and_no_superuser_serves_while_all_services_do(
    stack: Stack, figure: Tell, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = seed(stack, "chaos/roles", issues=110)
    slow_down(stack, repository, after_pages=1, seconds=1.0)
    syncing = await begin(stack, repository, monitor=True)
    await syncing.reach(pages=1, indexed=1)
    serving = await stack.rows(SERVING)
    await syncing.settle(60)

    with capsys.disabled():
        print(*(f"\nserving {row['role']}: {row['connections']} connections" for row in serving), sep="")
    above = [row["role"] for row in serving if row["super"] or row["bypasses"] or row["owns"]]
    figure("serving_owner_or_superuser", len(above), "roles", len(serving))
    assert above == []
    expected = {role for service in SERVICES for role in role_names(service)[1:]}
    assert {row["role"] for row in serving} == expected
