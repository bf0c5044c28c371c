"""JSON lines by allow-list: what is not known to be safe is not written, whoever logs it."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import Any, TextIO

import msgspec
import structlog
from opentelemetry import trace

from libs.common.errors import SluiceError
from libs.common.telemetry.keys import ALLOWED_KEYS
from libs.common.telemetry.masking import escape, mask
from libs.common.telemetry.metrics import counter

LONGEST = 2000
MOST_FRAMES = 30
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
BURST = 5
BURST_SECONDS = 30.0

_dropped = counter("log_keys_dropped_total", "Keys that a log call gave and the allow-list does not have")
_suppressed = counter("log_lines_suppressed_total", "Repeated lines of a library that were not written", ["logger"])

Line = MutableMapping[str, Any]
Logger = structlog.typing.FilteringBoundLogger


def get_logger(name: str) -> Logger:
    """`log = get_logger(__name__)`; then `log.info("page_saved", resource=..., items=3)`: the event is a fixed name."""
    logger: Logger = structlog.get_logger(room=name)
    return logger


def configure_logging(service: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Once per process, before anything logs. Lines go to standard error unless `stream` is given."""
    _configure(service, level, stream or _StandardError())
    _route_stdlib()


def _configure(service: str, level: str, out: Any) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp(service),
            _describe_error,
            _keep_allowed,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )


class _StandardError:
    """The standard error of the moment, for whoever replaces it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def bind(**values: object) -> AbstractContextManager[None]:
    """Every line inside it carries these keys."""
    return structlog.contextvars.bound_contextvars(**values)


def _stamp(service: str) -> Callable[[Any, str, Line], Line]:
    def stamp(_logger: Any, _method: str, line: Line) -> Line:
        line["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        line["service"] = service
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = format(context.trace_id, "032x")
            line["span_id"] = format(context.span_id, "016x")
        return line

    return stamp


def _describe_error(_logger: Any, _method: str, line: Line) -> Line:
    error = _exception_of(line.pop("exc_info", None))
    if error is not None:
        line.update(describe(error))
    return line


def describe(error: BaseException) -> dict[str, object]:
    """What may be told of an exception: types and places. Its text only if it is ours: a driver's holds row values."""
    found: dict[str, object] = {"error_type": type(error).__name__, "error_frames": _frames(error.__traceback__)}
    causes = [type(cause).__name__ for cause in _causes(error)]
    if causes:
        found["error_causes"] = causes
    if isinstance(error, SluiceError):
        found |= {"code": error.code, "error_detail": error.detail}
    return found


def _exception_of(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _causes(error: BaseException) -> Iterable[BaseException]:
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen and len(seen) < 6:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _frames(tb: TracebackType | None) -> list[str]:
    """file:line function, innermost last: no source text and no values."""
    frames = traceback.extract_tb(tb)[-MOST_FRAMES:]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _short(path: str) -> str:
    return "/".join(path.rsplit("/", 3)[1:]) or path


def _keep_allowed(_logger: Any, _method: str, line: Line) -> Line:
    kept = {key: _safe(value) for key, value in line.items() if key in ALLOWED_KEYS}
    dropped = len(line) - len(kept)
    if dropped:
        _dropped.inc(dropped)
        kept["dropped_keys"] = dropped
    return kept


def _safe(value: object, depth: int = 0) -> object:
    """Plain values only; of anything else just the type, because a repr can hold everything."""
    if value is None or (isinstance(value, bool | int | float) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return _safe(value.value, depth)
    if isinstance(value, str):
        return escape(mask(value))[:LONGEST]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset) and depth == 0:
        return [_safe(item, 1) for item in list(value)[:MOST_FRAMES]]
    return f"<{type(value).__name__}>"


def _render(_logger: Any, _method: str, line: Line) -> str:
    return msgspec.json.encode(line).decode()


class StdlibBridge(logging.Handler):
    """Lines of libraries, through the same allow-list and masks; at most BURST equal lines per half minute."""

    def __init__(self) -> None:
        super().__init__()
        self._recent: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_flood(record):
            _suppressed.labels(record.name.partition(".")[0]).inc()
            return
        level = record.levelname.lower() if record.levelname.lower() in LEVELS else "error"
        logger = structlog.get_logger(room=record.name)
        getattr(logger, level)("library", detail=_message(record), exc_info=record.exc_info or None)

    def _is_flood(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        kind = (record.name, str(record.msg)[:80])
        since, count = self._recent.get(kind, (now, 0))
        if now - since > BURST_SECONDS:
            since, count = now, 0
        if len(self._recent) > 1000:
            self._recent.clear()
        self._recent[kind] = (since, count + 1)
        return count >= BURST


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return str(record.msg)


def _route_stdlib() -> None:
    root = logging.getLogger()
    root.handlers = [StdlibBridge()]
    root.setLevel(logging.WARNING)
    # These log whole URLs, bound values or one line per retry below WARNING, whatever the root says.
    for name in ("httpx", "httpcore", "aiokafka", "sqlalchemy", "asyncio", "uvicorn", "faststream", "litestar"):
        logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(name).propagate = True


# structlog's own default draws every exception with its local variables: no process may run with that for a moment.
if not structlog.is_configured():
    _configure("unconfigured", "info", _StandardError())
