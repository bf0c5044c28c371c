"""One decision for every error: what the bus does is read from the tree of errors, and from nothing else."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from libs.common import errors
from libs.common.bus.policy import Backoff, decide, disposition_of, error_text
from libs.common.errors import Disposition

DOWN = errors.DependencyDown("away")
QUIET = [
    errors.NotFound(), errors.Conflict(), errors.Forbidden(), errors.InvalidState(), errors.InvalidInput(),
    errors.AlreadyHandled(), errors.Superseded(), errors.AuthExpired(), errors.AuthRevoked(), errors.ResourceGone(),
    errors.LostSight(), errors.ProviderContractBroken(), errors.LeaseLost(),
]  # fmt: skip


@pytest.mark.parametrize("error", QUIET, ids=lambda error: error.code)
def test_an_expected_refusal_is_done_at_once(error: errors.SluiceError) -> None:
    assert decide(error, 1).disposition is Disposition.ACK


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError(), errors.ProviderUnavailable()], ids=repr)
def test_a_bug_is_tried_five_times_and_parked(error: Exception) -> None:
    decided = [decide(error, attempt).disposition for attempt in range(1, 6)]
    assert decided == [Disposition.RETRY] * 4 + [Disposition.PARK]


@pytest.mark.parametrize(
    "error", [DOWN, ConnectionRefusedError(), ExceptionGroup("both", [KeyError(), DOWN])], ids=repr
)
@pytest.mark.parametrize("attempt", [1, 5, 6, 100_000])
def test_an_absence_pauses_however_long_it_lasts(error: Exception, attempt: int) -> None:
    decision = decide(error, attempt)
    assert decision.disposition is Disposition.PAUSE
    assert 0 < decision.after <= Backoff().longest


def test_unreadable_bytes_are_parked_at_once() -> None:
    assert decide(errors.UnreadableMessage(), 1).disposition is Disposition.PARK


def test_a_poison_holds_its_partition_less_than_half_a_minute() -> None:
    worst = Backoff()
    assert sum(worst.first * worst.factor**step for step in range(worst.tries - 1)) < 30


def test_waits_grow_and_differ() -> None:
    backoff = Backoff(first=1, factor=2, longest=1000)
    waits = [[backoff.after(attempt) for _ in range(50)] for attempt in (1, 2, 3, 4)]
    assert all(max(earlier) <= min(later) * 2 + 1e-9 for earlier, later in pairwise(waits))
    assert all(2 ** (step - 1) <= wait <= 2**step for step, many in enumerate(waits) for wait in many)
    assert all(len(set(many)) > 10 for many in waits)


@pytest.mark.parametrize("kind", [errors.RateLimited, errors.BreakerOpen])
def test_a_wait_ends_at_its_moment_but_does_not_last_for_ever(kind: type[errors.RetryAfter]) -> None:
    soon = kind(until=datetime.now(UTC) + timedelta(seconds=3))
    far = kind(until=datetime.now(UTC) + timedelta(hours=3))
    past = kind(until=datetime.now(UTC) - timedelta(hours=3))
    assert 2 < decide(soon, 1).after <= 3
    assert decide(far, 1).after == Backoff().longest
    assert decide(past, 1).after == 0


def test_a_foreign_text_is_never_told() -> None:
    try:
        raise ValueError("token=abcdef")
    except ValueError as error:
        told = error_text(error)
    assert "abcdef" not in told
    assert "ValueError" in told
    assert "test_policy.py" in told
    assert error_text(errors.NotFound("no such run")) == "no such run"


def test_every_class_of_the_tree_has_a_decision() -> None:
    def below(kind: type[errors.SluiceError]) -> set[type[errors.SluiceError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    assert len(below(errors.SluiceError)) > 25
    for kind in below(errors.SluiceError):
        waits = issubclass(kind, errors.RetryAfter)
        made = kind(until=datetime.now(UTC)) if waits else kind()
        assert disposition_of(made) is kind.disposition
