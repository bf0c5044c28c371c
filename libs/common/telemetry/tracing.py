"""One trace from delivery to index: spans as JSON lines, attributes by allow-list, context as `traceparent`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.common.telemetry.keys import ALLOWED_ATTRIBUTES
from libs.common.telemetry.masking import escape, mask
from libs.common.telemetry.spans import SpanLine, Value

LARGEST_FILE = 32 * 1024 * 1024
LONGEST_TEXT = 500
FLUSH_MS = 250

tracer = trace.get_tracer("sluice")
_propagator = TraceContextTextMapPropagator()


def configure_tracing(service: str, traces_file: str) -> None:
    """Once per process. Without a file, spans still exist (ids, propagation) and go nowhere."""
    provider = TracerProvider(resource=Resource({"service.name": service}))
    if traces_file:
        exporter = FileSpanExporter(service, Path(traces_file))
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=FLUSH_MS))
    trace.set_tracer_provider(provider)


def flush_traces() -> None:
    """Called at the end of an ordered shutdown."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(2000)


def current_traceparent() -> str | None:
    """The W3C header of the current span, or None outside any span."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def current_trace_id() -> str | None:
    found = trace.get_current_span().get_span_context()
    return format(found.trace_id, "032x") if found.is_valid else None


@contextmanager
def use_traceparent(text: str | None) -> Iterator[None]:
    """Spans inside continue that trace; a missing or malformed text starts a new one."""
    found = _propagator.extract({"traceparent": text} if text else {}, context=otel_context.Context())
    token = otel_context.attach(found)
    try:
        yield
    finally:
        otel_context.detach(token)


@contextmanager
def span(name: str, /, kind: SpanKind = SpanKind.INTERNAL, **attributes: Value | None) -> Iterator[Span]:
    """A child of the current span. An exception marks it failed by its type; its text is never recorded."""
    kept = {key: value for key, value in attributes.items() if value is not None and key in ALLOWED_ATTRIBUTES}
    with tracer.start_as_current_span(
        name, kind=kind, attributes=kept, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(Status(StatusCode.ERROR))
            raise


class FileSpanExporter(SpanExporter):
    """Appends one JSON line per span; at the size cap the file becomes `<name>.1` and a new one starts."""

    def __init__(self, service: str, path: Path, largest: int = LARGEST_FILE) -> None:
        self._service = service
        self._path = path
        self._largest = largest
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        lines = b"".join(msgspec.json.encode(span_line(one, self._service)) + b"\n" for one in spans)
        try:
            with self._lock:
                self._rotate(len(lines))
                with self._path.open("ab") as file:
                    file.write(lines)
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def _rotate(self, more: int) -> None:
        if self._path.exists() and self._path.stat().st_size + more > self._largest:
            self._path.replace(self._path.with_name(self._path.name + ".1"))


def span_line(one: ReadableSpan, service: str) -> SpanLine:
    """Filtered here as well, so that a library's instrumentation cannot write what `span()` would not."""
    context = one.get_span_context()
    if context is None:
        raise ValueError("a finished span has a context")
    return SpanLine(
        trace_id=format(context.trace_id, "032x"),
        span_id=format(context.span_id, "016x"),
        parent_span_id=format(one.parent.span_id, "016x") if one.parent else None,
        name=_text(one.name),
        kind=one.kind.name.lower(),
        service=service,
        start=one.start_time or 0,
        end=one.end_time or 0,
        status=one.status.status_code.name.lower(),
        attributes={key: _value(value) for key, value in (one.attributes or {}).items() if key in ALLOWED_ATTRIBUTES},
        links=[format(link.context.trace_id, "032x") for link in one.links],
    )


def _value(value: object) -> Value:
    return value if isinstance(value, bool | int | float) else _text(str(value))


def _text(text: str) -> str:
    return escape(mask(text))[:LONGEST_TEXT]
