"""A checker that cannot fail proves nothing: each one is shown a copy that is wrong in its way, and one that is not."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from libs.common.testing.plays import Thing
from tests.chaos.harness.checkers import (
    Deleted,
    Kept,
    Told,
    duplicate,
    extra,
    lost_event,
    missing,
    phantom_delete,
    stale,
    version_regression,
)

OPEN = {"state": "open"}
PLACE = ("1", "issue:7")
THING = Thing(type="issue", name="n", body="b", path="p", revision="r", parts={"comment:1": "said"}, metadata=OPEN)


def kept(**given: Any) -> Kept:
    content = given.pop("content", "b\n\nsaid")
    plain: dict[str, Any] = {
        "place": PLACE, "id": "s", "name": "n", "path": "p", "body": "b", "revision": "r", "version": 1,
        "content_hash": sha256(content.encode()).hexdigest(), "parts": {"comment:1": "said"},
        "metadata": {"state": "open", "more": 1},
    }  # fmt: skip
    return Kept(content=content, **{**plain, **given})


def told(version: int, change: str = "updated", digest: str = "h") -> Told:
    return Told(source="s", change=change, version=version, content_hash=digest)


def test_faithful_copy_has_nothing_wrong() -> None:
    truth, copy = {PLACE: THING}, [kept()]
    assert missing(truth, copy) + extra(truth, copy) + stale(truth, copy) + duplicate(copy) == []
    assert version_regression([told(1, "created"), told(2)]) == []
    assert lost_event([told(1), told(2)], {"s": (2, False, "h")}) == []
    assert lost_event([told(1), told(2, "deleted", "")], {"s": (2, True, "")}) == []


def test_object_that_the_copy_lacks_is_missing() -> None:
    assert missing({PLACE: THING}, []) == [f"missing {PLACE}"]


def test_object_that_only_the_copy_has_is_extra() -> None:
    assert extra({}, [kept()]) == [f"extra {PLACE}"]


def test_object_held_twice_is_told() -> None:
    assert duplicate([kept(), kept(id="other")]) == [f"2 times {PLACE}"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "old"}, {"path": "old"}, {"body": "old"}, {"revision": "old"}, {"parts": {}},
        {"parts": {"comment:1": "old"}}, {"parts": {"comment:1": "said", "comment:2": "gone"}},
        {"metadata": {"state": "closed"}}, {"metadata": {}}, {"content": "b"}, {"content_hash": "of something else"},
    ],
)  # fmt: skip
def test_object_that_differs_in_anything_is_stale(wrong: dict[str, Any]) -> None:
    assert stale({PLACE: THING}, [kept(**wrong)]) != []


@pytest.mark.parametrize("versions", [(2, 1), (2, 2)])
def test_version_that_does_not_rise_is_told(versions: tuple[int, int]) -> None:
    assert version_regression([told(version) for version in versions]) != []


@pytest.mark.parametrize(
    ("events", "row"),
    [
        ([], (1, False, "h")), ([told(1)], (2, False, "h")), ([told(2)], (2, True, "")), ([told(2)], (2, False, "x")),
        ([told(2, "deleted", "")], (2, False, "h")),
    ],
)  # fmt: skip
def test_change_without_its_event_is_lost(events: list[Told], row: tuple[int, bool, str]) -> None:
    assert lost_event(events, {"s": row}) != []


def test_event_about_nothing_is_told() -> None:
    assert lost_event([told(1)], {}) != []


def test_delete_of_what_was_there_all_the_time_is_a_phantom() -> None:
    moments = [set(), {PLACE}, {PLACE}, {PLACE}]
    assert phantom_delete([Deleted(place=PLACE, since=1, at=3, proof="no")], moments) != []


def test_delete_of_what_was_away_for_a_moment_is_none() -> None:
    moments = [{PLACE}, {PLACE}, set(), {PLACE}]
    assert phantom_delete([Deleted(place=PLACE, since=1, at=3, proof="yes")], moments) == []
