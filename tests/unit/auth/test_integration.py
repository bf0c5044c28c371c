"""Where an integration stands, as a pure function of its facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from libs.common.provider.auth import Account
from services.auth.domain.integration import Integration, runs_failing, same_account

AT = datetime(2026, 1, 1, tzinfo=UTC)
ACTIVE = Integration(
    id="i", workspace_id="w", provider="tracker", name="Tracker", config={}, features=("issues",), metadata={},
    monitor_changes=False, polling_enabled=False, polling_interval=15, version=1,
    account=Account(account_id="1", account_name="A"), created_at=AT, updated_at=AT,
)  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "status", "reason"),
    [
        ({}, "active", None),
        ({"failing": True}, "error", "runs_failing"),
        ({"grant_code": "auth_revoked", "failing": True}, "error", "grant_lost"),
        ({"paused": True, "grant_code": "auth_revoked"}, "inactive", "paused"),
        ({"disconnected_at": AT, "paused": True}, "inactive", "disconnected"),
    ],
)
def test_status_follows_the_strongest_fact(facts: dict[str, Any], status: str, reason: str | None) -> None:
    one = msgspec.structs.replace(ACTIVE, **facts)
    assert (one.status, one.reason) == (status, reason)


def test_failing_runs_do_not_change_what_is_desired() -> None:
    failing = msgspec.structs.replace(ACTIVE, failing=True)
    assert failing.desired() == ACTIVE.desired()


def test_lost_grant_is_part_of_what_is_desired() -> None:
    assert msgspec.structs.replace(ACTIVE, grant_code="auth_revoked").desired().status == "error"


@pytest.mark.parametrize(("failures", "failing"), [(0, False), (4, False), (5, True), (6, True), (1, False)])
def test_five_failures_in_a_row_are_an_error(failures: int, failing: bool) -> None:
    assert runs_failing(failures) is failing


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (Account(account_id="1", account_name="renamed", scopes=("more",)), True),
        (Account(account_id="2", account_name="A"), False),
        (Account(account_id="1", account_name="A", tenant_id="other"), False),
    ],
)
def test_account_is_the_same_by_its_ids_alone(found: Account, same: bool) -> None:
    assert same_account(ACTIVE.account, found) is same
