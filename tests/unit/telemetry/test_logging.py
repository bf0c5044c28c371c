"""What a log line can and cannot say: forty canaries through every way that a value reaches it (RELIABILITY A09)."""

from __future__ import annotations

import io
import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from libs.common.errors import NotFound, ProviderUnavailable
from libs.common.security.secrets import Secret
from libs.common.telemetry.logging import StdlibBridge, bind, configure_logging, get_logger
from libs.common.telemetry.masking import escape, mask
from libs.common.telemetry.metrics import value
from libs.common.telemetry.tracing import configure_tracing, current_trace_id, span

log = get_logger("test")
CANARY = "s3cr3t-canary-0123456789"


class Lines:
    """Everything written so far."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.all[-1]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    before = structlog.get_config()
    made = Lines()
    configure_logging("test", "debug", made.stream)
    yield made
    structlog.configure(**before)
    root.handlers, root.level = handlers, level


def test_line_is_json_with_time_level_and_service(lines: Lines) -> None:
    log.info("page_saved", resource="r1", items=3)
    line = lines.last
    assert (line["event"], line["level"], line["service"], line["room"]) == ("page_saved", "info", "test", "test")
    assert (line["resource"], line["items"]) == ("r1", 3)
    assert datetime.fromisoformat(line["at"]).tzinfo is not None


def test_unknown_key_is_dropped_and_counted(lines: Lines) -> None:
    before = value("log_keys_dropped_total")
    log.info("x", resource="r1", title=CANARY, token=CANARY, **{CANARY: 1})
    assert CANARY not in lines.text
    assert lines.last["dropped_keys"] == 3
    assert value("log_keys_dropped_total") == before + 3


class Holder:
    def __repr__(self) -> str:
        return CANARY

    __str__ = __repr__


@pytest.mark.parametrize(
    "kept", [Holder(), Secret(CANARY), {"a": CANARY}, [Holder()], CANARY.encode(), [[CANARY]], ValueError(CANARY)]
)
def test_value_that_is_not_plain_shows_its_type_alone(lines: Lines, kept: object) -> None:
    log.info("x", detail=kept, reason=kept)
    assert CANARY not in lines.text
    assert "detail" in lines.last


def test_plain_values_stay(lines: Lines) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    log.info("x", count=1, duration_ms=1.5, ready=True, until=at, topics=["a", "b"], reason=None)
    line = lines.last
    assert (line["count"], line["duration_ms"], line["ready"], line["topics"]) == (1, 1.5, True, ["a", "b"])
    assert line["until"] == at.isoformat()


TOKENS = [
    "ghp_" + "A1b2" * 9,
    "gho_" + "A1b2" * 9,
    "ghu_" + "A1b2" * 9,
    "ghs_" + "A1b2" * 9,
    "ghr_" + "A1b2" * 9,
    "acme_pat_11ABCDEFG0" + "x9" * 20,
    "glpat-" + "A1b2" * 5,
    "glrt-" + "A1b2" * 5,
    "slk_" + "A1b2" * 8,
    "whsec_" + "A1b2" * 8,
    "xoxb-123456789012-" + "A1b2" * 5,
    "xoxp-123456789012-" + "A1b2" * 5,
    "xapp-1-A1b2A1b2A1b2",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "ya29.a0Ad52N3" + "A1b2" * 8,
    "AIza" + "A1b2" * 8,
    "ATATT3xFfGF0" + "A1b2" * 8,
    "AKIA" + "A1B2" * 4,
    "sk_live_" + "A1b2" * 6,
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("around", ["{}", "token is {} now", '{{"a": "{}"}}', "https://x.example/?q={}", "a={}&b=1"])
def test_token_shape_is_masked_in_any_text(token: str, around: str) -> None:
    told = mask(around.format(token))
    assert token not in told
    assert token.rsplit("_", 1)[-1] not in told
    assert "***" in told


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization=bearer {CANARY}",
        f"Basic {b64encode(CANARY.encode()).decode()}",
        f"token {CANARY}",
        f"https://user:{CANARY}@host/path",
        f"postgresql+asyncpg://svc:{CANARY}@127.0.0.1/db",
        f"redis://:{CANARY}@127.0.0.1",
        f"GET https://host/callback?code={CANARY}&state=x",
        f"https://host/cb?state={quote(CANARY)}",
        f"access_token={CANARY}",
        f'"refresh_token": "{CANARY}"',
        f"client_secret: {CANARY}",
        f"password='{CANARY}'",
        f"api_key={CANARY}",
        f"code_verifier={CANARY}",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}",
    ],
)
def test_secret_behind_a_known_name_is_masked(lines: Lines, text: str) -> None:
    log.warning("x", detail=text)
    encoded = b64encode(CANARY.encode()).decode()
    assert CANARY not in lines.text
    assert encoded not in lines.text


@pytest.mark.parametrize(
    "text", ["the token endpoint answered 503", "basic authentication", "sha 0a1b2c3d4e5f", "sk_x", "v1.2.3"]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "hostile", ["a\nb", "a\r\nb", "\x1b[31mred", "a\u2028b", "\u202egnp", "a\x00b", "\x9b31m", "a\u2066b"]
)
def test_no_character_can_forge_a_line_or_a_colour(lines: Lines, hostile: str) -> None:
    log.info("x", detail=hostile, reason=hostile)
    assert len(lines.text.splitlines()) == 1
    assert escape(hostile) == lines.last["detail"]
    assert hostile not in lines.text
    assert hostile not in lines.last["detail"]


def test_exception_shows_types_and_places_and_not_its_text(lines: Lines) -> None:
    def fail() -> None:
        local_secret = CANARY
        try:
            raise KeyError(local_secret)
        except KeyError as error:
            raise ValueError(f"row contains ({CANARY})") from error

    try:
        fail()
    except ValueError as error:
        log.error("x", exc_info=error)
    line = lines.last
    assert CANARY not in lines.text
    assert (line["error_type"], line["error_causes"]) == ("ValueError", ["KeyError"])
    assert line["error_frames"][-1].endswith(" fail")


def test_error_of_ours_shows_its_code_and_detail(lines: Lines) -> None:
    log.error("x", exc_info=NotFound("no such run"))
    assert (lines.last["code"], lines.last["error_detail"]) == ("not_found", "no such run")


def test_exception_group_and_bare_exc_info_are_told(lines: Lines) -> None:
    try:
        raise ExceptionGroup(CANARY, [ProviderUnavailable()])
    except ExceptionGroup:
        log.exception("x")
    assert lines.last["error_type"] == "ExceptionGroup"
    assert CANARY not in lines.text


@pytest.mark.parametrize("name", ["httpx", "httpcore", "aiokafka", "sqlalchemy.engine", "asyncio", "uvicorn.error"])
def test_library_is_silent_below_warning_and_masked_above(lines: Lines, name: str) -> None:
    library = logging.getLogger(name)
    library.info("HTTP Request: GET https://x/?code=%s", CANARY)
    assert lines.text == ""
    library.warning("failed: GET https://x/?code=%s", CANARY)
    assert (lines.last["event"], lines.last["room"], lines.last["level"]) == ("library", name, "warning")
    assert CANARY not in lines.text


def test_library_exception_is_told_without_its_text(lines: Lines) -> None:
    try:
        raise RuntimeError(CANARY)
    except RuntimeError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    assert lines.last["error_type"] == "RuntimeError"
    assert CANARY not in lines.text


def test_flood_of_a_library_is_cut_and_counted(lines: Lines) -> None:
    before = value("log_lines_suppressed_total", logger="aiokafka")
    for attempt in range(100):
        logging.getLogger("aiokafka.conn").warning("Unable connect to node %s", attempt)
    assert len(lines.all) == 5
    assert value("log_lines_suppressed_total", logger="aiokafka") == before + 95


def test_broken_library_format_is_still_a_line(lines: Lines) -> None:
    record = logging.LogRecord("asyncio", logging.WARNING, "x.py", 1, "%d items", ("not a number",), None)
    StdlibBridge().emit(record)
    assert lines.last["detail"] == "%d items"


def test_level_below_the_configured_is_not_written(lines: Lines) -> None:
    configure_logging("test", "warning", lines.stream)
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines.all] == ["loud"]


def test_bound_keys_are_in_every_line_inside(lines: Lines) -> None:
    with bind(request_id="r-1"):
        log.info("inside")
    log.info("outside")
    assert [line.get("request_id") for line in lines.all] == ["r-1", None]


def test_line_inside_a_span_carries_its_trace(lines: Lines) -> None:
    configure_tracing("test", "")
    with span("work"):
        log.info("x")
        assert lines.last["trace_id"] == current_trace_id()


def test_long_text_is_cut(lines: Lines) -> None:
    log.info("x", detail="a" * 100_000)
    assert len(lines.last["detail"]) == 2000
