"""What a batch changes, decided without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from libs.common.provider.sync import Observed, Part, PartSeen
from services.sync.domain.content import part_hash, seen_hash
from services.sync.domain.plan import Batch, Known, Plan, change_of, hashes_of, plan_parts
from services.sync.domain.plan import make_plan as plan_with

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def observed(key: str, content: str = "text", **given: object) -> Observed:
    values = {"type": "file", "name": key, "url": "", "content_type": "text/plain", "revision": content, "path": key}
    return Observed(key=key, content=content, **{**values, **given})  # type: ignore[arg-type]


def known(item: Observed, **given: object) -> Known:
    values = {
        "id": f"id-{item.key}", "key": item.key, "type": item.type, "name": item.name, "path": item.path,
        "url": item.url, "content_hash": item.content, "seen_hash": seen_hash(item), "version": 1, "tombstone": False,
        "updated_at": item.updated_at, "seen_at": NOW,
    }  # fmt: skip
    return Known(**{**values, **given})  # type: ignore[arg-type]


def batch(*items: Observed, read_after: datetime | None = None) -> Batch:
    return Batch(
        workspace_id="w", integration_id="i", resource_id="r", provider="p", stream="s", cause="poll", observed=items,
        read_after=read_after,
    )  # fmt: skip


def make_plan(given: Batch, rows: dict[str, Known]) -> Plan:
    """As the repository does it: rows that are as observed are left out."""
    hashes = hashes_of(given)
    same = {key for key, row in rows.items() if key in hashes and not row.tombstone and row.seen_hash == hashes[key]}
    kept = {key: row for key, row in rows.items() if key in hashes and key not in same}
    return plan_with(given, kept, hashes, same)


def test_equal_object_is_unchanged_and_a_different_one_is_not() -> None:
    same, other = observed("a"), observed("b", "new")
    plan = make_plan(batch(same, other), {"a": known(same), "b": known(observed("b", "old"))})
    assert (plan.unchanged, list(plan.changed)) == (1, ["b"])


def test_tombstone_that_is_seen_again_is_changed() -> None:
    item = observed("a")
    plan = make_plan(batch(item), {"a": known(item, tombstone=True)})
    assert list(plan.changed) == ["a"]
    assert change_of(plan.rows["a"], item, item.content, renamed=False) == "created"


def test_last_observation_of_a_key_counts() -> None:
    plan = make_plan(batch(observed("a", "1"), observed("a", "2")), {})
    assert plan.changed["a"].content == "2"


def test_chain_of_renames_moves_each_row_once() -> None:
    rows = {key: known(observed(key)) for key in ("a", "b", "c")}
    plan = make_plan(batch(observed("b", previous_key="a"), observed("c", previous_key="b")), rows)
    assert {(move.id, move.key) for move in plan.moves} == {("id-a", "b"), ("id-b", "c")}
    assert [row.id for row in plan.displaced] == ["id-c"]
    assert (plan.rows["b"].id, plan.rows["c"].id) == ("id-a", "id-b")
    assert "a" not in plan.rows


def test_rename_that_was_applied_before_is_not_applied_again() -> None:
    item = observed("b", previous_key="a")
    plan = make_plan(batch(item), {"b": known(item)})
    assert (plan.moves, plan.unchanged) == ([], 1)
    assert hashes_of(batch(item)) == {"a": None, "b": None}
    assert hashes_of(batch(observed("c"))) == {"c": seen_hash(observed("c"))}


def test_row_written_while_the_page_was_read_is_kept_unless_the_page_is_newer() -> None:
    old, new = observed("a", "1", updated_at=NOW), observed("a", "2", updated_at=NOW + timedelta(hours=1))
    later = NOW + timedelta(seconds=1)
    assert make_plan(batch(old, read_after=NOW), {"a": known(new, seen_at=later)}).stale == ["a"]
    assert make_plan(batch(new, read_after=NOW), {"a": known(old, seen_at=later)}).stale == []
    assert make_plan(batch(old, read_after=later), {"a": known(new, seen_at=later)}).stale == []


def test_object_without_a_time_is_read_again_when_another_lane_wrote_it() -> None:
    later = NOW + timedelta(seconds=1)
    row = known(observed("a", "1"), seen_at=later)
    assert make_plan(batch(observed("a", "2"), read_after=NOW), {"a": row}).stale == ["a"]
    assert make_plan(batch(observed("a", "1"), read_after=NOW), {"a": row}).unchanged == 1


def test_nothing_that_a_reader_sees_changed_is_not_told() -> None:
    item = observed("a", metadata={"labels": ["x"]})
    row = known(observed("a"))
    assert change_of(row, item, "text", renamed=False) is None
    assert change_of(row, observed("a", name="other"), "text", renamed=False) == "updated"
    assert change_of(row, item, "text", renamed=True) == "renamed"


def part(key: str, body: str = "x") -> Part:
    return Part(key=key, author="ada", created_at=NOW, body=body)


def test_all_parts_of_a_prefix_replace_the_known_ones_of_it() -> None:
    stored = {("a", "c:1"): part_hash(part("c:1")), ("a", "c:2"): b"old", ("a", "r:1"): b"other"}
    item = observed("a", parts=(part("c:1"), part("c:3")), parts_prefix="c:")
    todo = plan_parts([item], [], stored)
    assert todo.drop == [("a", "c:2")]
    assert [(source, one.key) for source, one, _ in todo.write] == [("a", "c:3")]
    assert todo.touched == {"a"}


def test_part_seen_alone_only_adds_and_an_equal_one_touches_nothing() -> None:
    stored = {("a", "c:1"): part_hash(part("c:1")), ("a", "c:9"): b"kept"}
    todo = plan_parts([], [PartSeen(parent_key="a", part=part("c:1"))], stored)
    assert (todo.drop, todo.write, todo.touched) == ([], [], set())
