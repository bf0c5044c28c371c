"""Pages of the feed: whatever is filtered, compacted and cut, a reader that goes on at the cursor loses nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain.feed import About, Fact, Filter, Scan, cut

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES = st.integers(0, 4)
LOGS = st.lists(st.tuples(SOURCES, st.sampled_from(["updated", "deleted", "created"])), max_size=40)


def facts(log: list[tuple[int, Any]]) -> list[Fact]:
    return [
        Fact(
            place=seq, seq=seq, event_id=str(seq), topic="source.changed", occurred_at=BEGUN + timedelta(hours=seq),
            event=msgspec.Raw(b"{}"),
            about=About(
                source_id=f"s{source}", integration_id=f"i{source % 2}", resource_id="r", provider="p", type="issue",
                change=change, cause="poll",
            ),
        )
        for seq, (source, change) in enumerate(log, 1)
    ]  # fmt: skip


def read(log: list[Fact], wanted: Filter, limit: int, *, compact: bool, scanned: int) -> list[Fact]:
    """Page after page, each over at most `scanned` rows."""
    found: list[Fact] = []
    after = 0
    while True:
        rest = [fact for fact in log if int(fact.place) > after]
        page = cut(Scan(rest[:scanned], len(rest) > scanned), wanted, limit, compact=compact)
        assert len(page.facts) <= limit
        found += page.facts
        assert page.place is None or int(page.place) > after
        after = int(page.place or after)
        if not page.more:
            return found


@given(log=LOGS, limit=st.integers(1, 7), scanned=st.integers(1, 9), integration=st.sampled_from([None, "i0", "i9"]))
def test_filtered_pages_are_the_filtered_log(log: Any, limit: int, scanned: int, integration: str | None) -> None:
    wanted, whole = Filter(integration=integration), facts(log)
    expected = [fact for fact in whole if integration in (None, fact.about.integration_id)]
    assert read(whole, wanted, limit, compact=False, scanned=scanned) == expected


@given(log=LOGS, limit=st.integers(1, 7), scanned=st.integers(1, 9))
def test_compacted_pages_end_with_the_newest_fact_of_every_source(log: Any, limit: int, scanned: int) -> None:
    whole = facts(log)
    found = read(whole, Filter(), limit, compact=True, scanned=scanned)
    assert all(int(one.place) < int(other.place) for one, other in pairwise(found))
    newest = {fact.about.source_id: fact for fact in whole}
    assert {fact.about.source_id: fact for fact in found} == newest


def test_each_filter_takes_only_its_own() -> None:
    (fact,) = facts([(1, "updated")])
    same = {"integration": "i1", "resource": "r", "provider": "p", "type": "issue", "change": "updated",
            "cause": "poll", "since": fact.occurred_at}  # fmt: skip
    other = {**dict.fromkeys(("integration", "resource", "provider"), "x"), "type": "file", "change": "deleted",
             "cause": "sweep", "since": fact.occurred_at + timedelta(seconds=1)}  # fmt: skip
    assert Filter().takes(fact)
    assert not Filter().narrows
    for name in same:
        assert Filter(**{name: same[name]}).takes(fact)  # type: ignore[arg-type]
        assert not Filter(**{name: other[name]}).takes(fact)  # type: ignore[arg-type]
