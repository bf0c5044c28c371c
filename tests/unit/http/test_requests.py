"""One JSON parser for every body: hostile input is refused by kind, never by a crash."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.common.errors import InvalidInput, MalformedPayload
from libs.common.http.requests import decode_body, invalid, pointer_of
from libs.common.http.wire import InvalidCursor, Page, Wire, decode_cursor, encode_cursor


class Inner(Wire):
    value: int


class Outer(Wire):
    inner_list: list[Inner]
    by_name: dict[str, int] = msgspec.field(default_factory=dict)


@pytest.mark.parametrize("depth", [1_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_json_is_malformed_and_not_a_crash(depth: int, opening: bytes) -> None:
    with pytest.raises(MalformedPayload):
        decode_body(opening * depth, Any)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"NaN", b"Infinity", b"\xef\xbb\xbf1", b'"\\udc00"', b'{"a":1,}', b"'a'"]
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        decode_body(body, Any)


@pytest.mark.parametrize("body", [b'"\\u0000"', b'["a", {"b": ["\\u0000"]}]', b'{"\\u0000": 1}'])
def test_nul_character_is_refused_wherever_it_stands(body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        decode_body(body, Any)


def test_escaped_backslash_before_u0000_is_text() -> None:
    assert decode_body(b'"\\\\u0000"', str) == "\\u0000"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"innerList": [{"value": 1}, {"value": "x"}]}', "/innerList/1/value"),
        (b'{"innerList": 5}', "/innerList"),
        (b'{"innerList": [], "byName": {"a": "x"}}', "/byName/..."),
        (b"[]", "/"),
    ],
)
def test_fault_is_named_by_its_pointer(body: bytes, pointer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_body(body, Outer)
    assert caught.value.pointer == pointer


def test_pointer_escapes_tilde_and_slash() -> None:
    assert pointer_of(".a~b.c/d[3]") == "/a~0b/c~1d/3"


def test_fault_text_never_holds_the_value() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_body(b'{"innerList": [{"value": "canary-value"}]}', Outer)
    assert "canary" not in caught.value.detail


def test_message_without_a_path_points_at_the_whole() -> None:
    assert invalid("Expected `int`").pointer == "/"


def test_page_is_camel_case() -> None:
    assert msgspec.json.encode(Page(items=[1], next_cursor="x")) == b'{"items":[1],"nextCursor":"x"}'


@pytest.mark.parametrize("position", [0, "a", ["2026-01-01", "id"], {"seq": 5}, None])
def test_cursor_survives_the_round_trip(position: object) -> None:
    assert decode_cursor(encode_cursor(position), Any) == position


@pytest.mark.parametrize(
    "text", ["", "!!", "é", "AAAA", "eyJ", encode_cursor("text"), "A" * 5_000, encode_cursor([1, 2])]
)
def test_foreign_cursor_is_refused_with_its_pointer(text: str) -> None:
    with pytest.raises(InvalidCursor) as caught:
        decode_cursor(text, int)
    assert caught.value.pointer == "/cursor"
    assert caught.value.code == "invalid_cursor"
