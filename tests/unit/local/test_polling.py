"""What is asked again, how often, and until when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from libs.local import polling
from libs.local.polling import polled


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(polling, "time", made)
    return made


def answering(*answers: object) -> Callable[[], object]:
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_answer_that_is_there_is_not_waited_for(clock: Clock) -> None:
    assert polled(answering(0), seconds=5, every=1) == 0
    assert clock.now == 100.0


def test_neither_none_nor_false_is_an_answer(clock: Clock) -> None:
    assert polled(answering(None, False, ""), seconds=5, every=1) == ""
    assert clock.now == 102.0


@pytest.mark.parametrize(("seconds", "asked_until"), [(0, 101.0), (5, 106.0)])
def test_what_has_no_answer_in_time_is_asked_once_more_and_given_up(
    clock: Clock, seconds: float, asked_until: float
) -> None:
    assert polled(answering(None), seconds=seconds, every=1) is None
    assert clock.now == asked_until
