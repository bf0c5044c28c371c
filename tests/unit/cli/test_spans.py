"""A trace is found by whatever id is at hand, and drawn as the tree that it is."""

from pathlib import Path

import msgspec
import pytest

from libs.cli.traces import as_data
from libs.common.telemetry.spans import SpanLine
from libs.local.spans import children_of, read_spans, trace_of

OLD, NEW = "a" * 32, "b" * 32


def span(trace: str, number: int, parent: int | None, service: str, **attributes: str) -> SpanLine:
    return SpanLine(
        trace_id=trace, span_id=f"{number:016x}", parent_span_id=None if parent is None else f"{parent:016x}",
        name=f"step {number}", kind="internal", service=service, start=number * 1_000_000,
        end=number * 1_000_000 + 500_000, status="unset", attributes=dict(attributes),
    )  # fmt: skip


SPANS = [
    span(OLD, 1, None, "webhooks", source_id="s-1"),
    span(NEW, 5, 99, "webhooks", delivery_id="d-1"),
    span(NEW, 7, 6, "chunker", source_id="s-1"),
    span(NEW, 6, 5, "sync"),
]


@pytest.mark.parametrize("key", [NEW, NEW[:8], "d-1", "s-1", " D-1 "])
def test_any_id_of_a_trace_finds_the_newest_trace_that_has_it(key: str) -> None:
    assert [one.service for one in trace_of(SPANS, key)] == ["webhooks", "sync", "chunker"]


@pytest.mark.parametrize("key", ["d-2", "b", NEW[:7], ""])
def test_unknown_or_too_short_id_finds_nothing(key: str) -> None:
    assert trace_of(SPANS, key) == []


def test_span_whose_parent_was_not_recorded_is_a_root() -> None:
    tree = children_of(trace_of(SPANS, NEW))
    assert [one.name for one in tree[None]] == ["step 5"]
    assert [one.name for one in tree[f"{5:016x}"]] == ["step 6"]


def test_half_written_line_is_left_out_and_rotated_files_are_read(tmp_path: Path) -> None:
    lines = [msgspec.json.encode(one) for one in SPANS]
    (tmp_path / "sync.jsonl.1").write_bytes(lines[0] + b"\n")
    (tmp_path / "sync.jsonl").write_bytes(lines[1] + b"\n" + lines[2][:20])
    assert [one.span_id for one in read_spans(tmp_path)] == [SPANS[1].span_id, SPANS[0].span_id]


def test_json_of_a_trace_has_times_from_its_first_span() -> None:
    data = as_data(trace_of(SPANS, NEW))
    assert data["services"] == ["chunker", "sync", "webhooks"]
    assert [one["startMs"] for one in data["spans"]] == [0.0, 1.0, 2.0]
    assert data["milliseconds"] == 2.5
