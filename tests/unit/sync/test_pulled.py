"""What joined pages leave behind is what they leave one after the other; whatever is not sure of that is alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from libs.common.provider.sync import (
    Item,
    Listed,
    Observed,
    Page,
    Part,
    PartSeen,
    Pushed,
    Quarantined,
    Removed,
    Resource,
)
from services.sync.repository.runs import Counts
from services.sync.workers.pulled import Pulled, Used, pulled

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def issue(key: str, *, previous_key: str | None = None, parts: tuple[Part, ...] | None = None) -> Observed:
    return Observed(
        key=key, type="issue", name=key, url="", content="", content_type="text/plain", revision="1",
        previous_key=previous_key, parts=parts,
    )  # fmt: skip


def comment(parent: str, key: str) -> PartSeen:
    return PartSeen(parent_key=parent, part=Part(key=key, author="bob", created_at=EARLY, body="w"))


def page_of(*items: Item, at: str = "", full_listing: str | None = None, **told: object) -> Page:
    return Page(items=items, cursor={"at": at}, last=False, full_listing=full_listing, **told)  # type: ignore[arg-type]


def came(page: Page, since: datetime = EARLY, **learned: str) -> Pulled:
    return pulled(page, since, Used(Counts(requests=1, bytes=100), learned))


def test_joined_pages_keep_their_order_and_count_as_what_they_are() -> None:
    first, second = came(page_of(issue("a"), issue("b"), at="1"), a="1"), came(page_of(issue("c"), at="2"), LATE, c="2")
    joined = first.joined(second)
    assert joined is not None
    assert [item.key for item in joined.page.items if isinstance(item, Observed)] == ["a", "b", "c"]
    assert joined.page.cursor == {"at": "2"}
    assert joined.since == EARLY
    assert joined.used == Used(Counts(requests=2, bytes=200, pages=2), {"a": "1", "c": "2"})


def test_what_the_later_page_does_not_say_the_earlier_one_has_said() -> None:
    resource = Resource(kind="repository", external_id="1", name="r", url="")
    first = came(page_of(issue("a"), resource=resource, estimate=300))
    joined = first.joined(came(page_of(issue("b"))))
    assert joined is not None
    assert (joined.page.resource, joined.page.estimate) == (resource, 300)
    newer = joined.joined(came(page_of(issue("c"), estimate=0)))
    assert newer is not None
    assert newer.page.estimate == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [(issue("a"), issue("a")), (comment("a", "c1"), comment("a", "c1"))],
    ids=["object", "comment"],
)
def test_pages_that_both_tell_of_one_object_are_taken_one_after_the_other(one: Item, other: Item) -> None:
    assert came(page_of(one)).joined(came(page_of(issue("b"), other))) is None


def test_key_of_an_earlier_page_is_remembered_in_what_it_was_joined_to() -> None:
    joined = came(page_of(issue("a"))).joined(came(page_of(issue("b"))))
    assert joined is not None
    assert joined.joined(came(page_of(issue("a")))) is None


def test_comments_of_an_object_may_follow_it() -> None:
    assert came(page_of(issue("a"))).joined(came(page_of(comment("a", "c1")))) is not None


@pytest.mark.parametrize(
    "page",
    [
        page_of(issue("b"), full_listing="whole"),
        page_of(issue("b", previous_key="c")),
        page_of(issue("b", parts=())),
        page_of(Listed(key="b", type="issue", revision="1")),
        page_of(Removed(key="b", proof="gone")),
        page_of(Quarantined(key="b", code="x", detail="")),
        page_of(Pushed(key="b", branch="main", before="1", after="2", forced=False, files=())),
    ],
    ids=["whole listing", "moved", "all its parts", "listed", "removed", "unfit", "pushed"],
)
def test_page_that_says_more_than_what_its_objects_are_is_alone(page: Page) -> None:
    plain, other = came(page_of(issue("a"))), came(page)
    assert not other.is_plain
    assert plain.joined(other) is None
    assert other.joined(plain) is None
