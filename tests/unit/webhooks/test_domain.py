"""Which hook is wanted, what an integration's hooks amount to, and what is kept of a delivery's headers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.provider.client import Budget
from libs.common.provider.manifest import WebhookScheme
from services.webhooks.domain import (
    LEAST_BETWEEN_LOOKS,
    Desired,
    Hooks,
    hook_url,
    kept_headers,
    next_look_before,
    next_state,
    report,
    rests_until,
    wants_hook,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def wanting(**changed: Any) -> Desired:
    return Desired(**{"connected": True, "monitor_changes": True, "registration": "api", **changed})


ACTIVE = Hooks(wanted=True, state="active", hook_id="1")
REGISTERING = Hooks(wanted=True, state="registering", hook_id=None)
REMOVING = Hooks(wanted=False, state="removing", hook_id="1")
REMOVED = Hooks(wanted=False, state="removed", hook_id=None)
FAILING = Hooks(wanted=True, state="failing", hook_id=None, detail="no admin rights")


@pytest.mark.parametrize(
    ("desired", "selected", "wanted"),
    [
        (wanting(), True, True),
        (wanting(), False, False),
        (wanting(connected=False), True, False),
        (wanting(monitor_changes=False), True, False),
        (wanting(registration="manual"), True, False),
        (wanting(registration="none"), True, False),
    ],
)
def test_hook_is_wanted_only_when_everything_asks_for_it(desired: Desired, selected: bool, wanted: bool) -> None:
    assert wants_hook(desired, selected=selected) is wanted


@pytest.mark.parametrize(
    ("wanted", "hook_id", "state"),
    [
        (True, None, "registering"),
        (True, "1", "registering"),
        (False, "1", "removing"),
        (False, None, "removed"),
    ],
)
def test_changed_wish_says_what_is_under_way(wanted: bool, hook_id: str | None, state: str) -> None:
    assert next_state(wanted=wanted, hook_id=hook_id) == state


@pytest.mark.parametrize(
    ("desired", "hooks", "state"),
    [
        (wanting(), [], "none"),
        (wanting(), [ACTIVE, REMOVED], "active"),
        (wanting(), [ACTIVE, REGISTERING], "registering"),
        (wanting(), [ACTIVE, REGISTERING, FAILING], "failing"),
        (wanting(monitor_changes=False), [REMOVING], "registering"),
        (wanting(monitor_changes=False), [REMOVED], "none"),
        (wanting(connected=False), [], "removed"),
        (wanting(connected=False), [REMOVING], "registering"),
        (wanting(connected=False), [REMOVED], "removed"),
        (wanting(registration="manual"), [], "manual"),
        (wanting(registration="app"), [], "manual"),
        (wanting(registration="none"), [], "none"),
    ],
)
def test_worst_hook_is_the_integrations_state(desired: Desired, hooks: list[Hooks], state: str) -> None:
    assert report(desired, hooks).state == state


def test_report_counts_standing_hooks_and_names_the_first_expiry_and_failure() -> None:
    expiring = [Hooks(wanted=True, state="active", hook_id="2", expires_at=NOW.replace(hour=hour)) for hour in (9, 3)]
    found = report(wanting(), [ACTIVE, *expiring, FAILING])
    assert (found.subscriptions, found.expires_at, found.detail) == (3, NOW.replace(hour=3), "no admin rights")


def test_kept_headers_are_the_schemes_names_without_the_signature() -> None:
    scheme = WebhookScheme(
        signature_header="x-signature", delivery_header="x-delivery", event_header="x-event", registration="api"
    )
    sent = {"x-signature": "s", "x-delivery": "d", "x-event": "e" * 600, "authorization": "a", "content-type": "c"}
    assert kept_headers(scheme, sent) == {"content-type": "c", "x-delivery": "d", "x-event": "e" * 512}


def test_hook_url_stands_under_the_public_url() -> None:
    assert hook_url("https://sluice.example/", "github", "abc") == "https://sluice.example/v1/hooks/github/abc"


@pytest.mark.parametrize(
    ("started", "before"),
    [
        (timedelta(hours=5), timedelta(minutes=30)),
        (timedelta(minutes=2), timedelta(minutes=2)),
        (timedelta(0), LEAST_BETWEEN_LOOKS),
    ],
)
def test_look_is_due_by_its_time_or_since_the_start_but_never_at_once_again(
    started: timedelta, before: timedelta
) -> None:
    assert next_look_before(NOW, started=NOW - started, every=timedelta(minutes=30)) == NOW - before


@pytest.mark.parametrize(("remaining", "rests"), [(501, False), (500, True), (0, True)])
def test_last_tenth_of_a_budget_is_left_to_the_sync(remaining: int, rests: bool) -> None:
    budget = Budget(limit=5000, remaining=remaining, resets_at=NOW)
    assert rests_until(budget) == (NOW if rests else None)


def test_account_of_which_nothing_is_known_need_not_rest() -> None:
    assert rests_until(None) is None
