"""One trace across processes, and span files that hold no secret and do not grow for ever."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from libs.common.telemetry import tracing
from libs.common.telemetry.tracing import (
    FileSpanExporter,
    SpanLine,
    configure_tracing,
    current_trace_id,
    current_traceparent,
    span,
    use_traceparent,
)

CANARY = "canary-secret"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "traces" / "sync.jsonl"
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter("sync", path)))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    return path


def read(path: Path) -> list[SpanLine]:
    return [msgspec.json.decode(line, type=SpanLine) for line in path.read_bytes().splitlines()]


def test_child_and_parent_share_a_trace(file: Path) -> None:
    with span("outer", run_id="r1"), span("inner"):
        pass
    inner, outer = read(file)
    assert (inner.name, outer.name, inner.service) == ("inner", "outer", "sync")
    assert (inner.trace_id, inner.parent_span_id) == (outer.trace_id, outer.span_id)
    assert outer.parent_span_id is None
    assert outer.attributes == {"run_id": "r1"}
    assert outer.start <= inner.start <= inner.end <= outer.end


def test_foreign_parent_is_continued(file: Path) -> None:
    with use_traceparent(PARENT), span("work"):
        assert (current_traceparent() or "").startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    (line,) = read(file)
    assert (line.trace_id, line.parent_span_id) == (PARENT.split("-")[1], PARENT.split("-")[2])


@pytest.mark.parametrize(
    "text", [None, "", "garbage", "00-0-0-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", PARENT * 3]
)
def test_malformed_parent_starts_a_new_trace(file: Path, text: str | None) -> None:
    with span("outside"), use_traceparent(text), span("work"):
        assert current_trace_id() != PARENT.split("-")[1]
    inside, outside = read(file)
    assert inside.parent_span_id is None
    assert inside.trace_id != outside.trace_id


def test_traceparent_survives_its_own_round_trip(file: Path) -> None:
    with span("first"):
        carried = current_traceparent()
        first = current_trace_id()
    assert current_traceparent() is None
    with use_traceparent(carried), span("second"):
        assert current_trace_id() == first


def test_context_ends_with_its_block(file: Path) -> None:
    with use_traceparent(PARENT):
        pass
    assert current_traceparent() is None


def test_unknown_attribute_is_not_written(file: Path) -> None:
    with span("work", title=CANARY, resource="r1", count=None) as current:
        current.set_attribute("db.statement", CANARY)
        current.set_attribute("url.full", CANARY)
        current.add_event(CANARY, {"x": CANARY})
    assert read(file)[0].attributes == {"resource": "r1"}
    assert CANARY not in file.read_text()


def test_token_in_an_allowed_attribute_is_masked(file: Path) -> None:
    with span("work", detail="Bearer abcdefgh12345678", reason="a\nb"):
        pass
    assert read(file)[0].attributes == {"detail": "Bearer ***", "reason": "a\\nb"}


def test_failure_is_told_by_type_and_never_by_text(file: Path) -> None:
    with pytest.raises(RuntimeError), span("work"):
        raise RuntimeError(CANARY)
    (line,) = read(file)
    assert (line.status, line.attributes) == ("error", {"error.type": "RuntimeError"})
    assert CANARY not in file.read_text()


def test_file_is_rotated_at_its_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter("sync", path, largest=2_000)))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    for _ in range(100):
        with span("work"):
            pass
    assert {found.name for found in tmp_path.iterdir()} == {"x.jsonl", "x.jsonl.1"}
    assert all(found.stat().st_size <= 2_000 for found in tmp_path.iterdir())
    assert read(path)


def test_unwritable_file_never_fails_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gone" / "x.jsonl"
    exporter = FileSpanExporter("sync", path)
    path.parent.rmdir()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    with span("work"):
        pass
    assert not path.exists()


def test_without_a_file_spans_still_have_ids() -> None:
    configure_tracing("test", "")
    with span("work"):
        assert current_trace_id()
