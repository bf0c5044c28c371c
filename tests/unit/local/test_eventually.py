"""Waiting must end with the fact, and must be able to fail."""

import pytest

from libs.common.testing.eventually import eventually


async def test_answer_that_becomes_true_is_returned() -> None:
    answers = iter([0, None, [], "here"])
    assert await eventually(lambda: next(answers), interval=0) == "here"


async def test_assertion_that_begins_to_hold_ends_the_wait() -> None:
    seen: list[int] = []

    async def grown() -> None:
        seen.append(1)
        assert len(seen) == 3

    await eventually(grown, interval=0)
    assert len(seen) == 3


async def test_assertion_that_never_holds_is_raised() -> None:
    def never() -> None:
        raise AssertionError("two of three arrived")

    with pytest.raises(AssertionError, match="two of three"):
        await eventually(never, timeout=0.02, interval=0)


async def test_lambda_without_an_answer_is_not_a_yes() -> None:
    with pytest.raises(AssertionError, match="still None"):
        await eventually(lambda: None, timeout=0.02, interval=0)


async def test_other_errors_are_raised_at_once() -> None:
    calls: list[int] = []

    def broken() -> bool:
        calls.append(1)
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await eventually(broken, interval=0)
    assert len(calls) == 1


async def test_thing_that_is_not_there_yet_is_waited_for() -> None:
    answers = iter([None, 7])

    async def found() -> int | None:
        return next(answers)

    assert await eventually(found, interval=0) == 7
