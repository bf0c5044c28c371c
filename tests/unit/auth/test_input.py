"""Which input is refused, and at which field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from libs.common.errors import InvalidInput
from services.auth.domain import input as check


def pointer_of(judge: Callable[[], object]) -> str | None:
    with pytest.raises(InvalidInput) as caught:
        judge()
    return caught.value.pointer


@pytest.mark.parametrize("text", ["a", "default", "A.b_c:d-9", "x" * 128, "..", "-"])
def test_workspace_id_in_shape_is_kept(text: str) -> None:
    assert check.check_workspace_id(text) == text


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "a/b", "ä", "a\n", "a\0", "a%"])
def test_workspace_id_out_of_shape_is_refused(text: str) -> None:
    assert pointer_of(lambda: check.check_workspace_id(text)) == "/workspace"


@pytest.mark.parametrize("minutes", [1, 15, 10_080])
def test_interval_within_a_week_is_kept(minutes: int) -> None:
    assert check.check_interval(minutes) == minutes


@pytest.mark.parametrize("minutes", [0, -1, 10_081, 2**63])
def test_interval_outside_is_refused(minutes: int) -> None:
    assert pointer_of(lambda: check.check_interval(minutes)) == "/pollingInterval"


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"token": "abc"}, "/config/token"),
        ({"clientSecret": "abc"}, "/config/clientSecret"),
        ({"api-key": "abc"}, "/config/api-key"),
        ({"site": {"PASSWORD": "abc"}}, "/config/site/PASSWORD"),
        ({"list": ["fine", "ghp_0123456789abcdef"]}, "/config/list/1"),
        ({"header": "Bearer abcdefgh12345"}, "/config/header"),
        ({"url": "https://me:pass@docs.example"}, "/config/url"),
        ({"a/b~c": "-----BEGIN PRIVATE KEY-----"}, "/config/a~1b~0c"),
        ({"note": "my-own-token"}, "/config/note"),
    ],
)
def test_secret_in_config_is_refused_where_it_stands(config: dict[str, Any], pointer: str) -> None:
    assert pointer_of(lambda: check.check_config(config, token="my-own-token")) == pointer


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"since": "2025-01-31"},
        {"url": "https://docs.example/a?version=2&lang=en"},
        {"maxTokens": 500, "tokenCount": "3"},
        {"password": ""},
        {"include": ["src/**", "docs/*.md"], "exclude": [], "on": True, "none": None},
    ],
)
def test_plain_config_is_kept(config: dict[str, Any]) -> None:
    assert check.check_config(config, token="another-token") == config


def test_metadata_is_measured_as_json_bytes() -> None:
    fits = {"a": "é" * ((65_536 - 8) // 2)}
    assert check.check_metadata(fits) == fits
    assert pointer_of(lambda: check.check_metadata({"a": "é" * (65_536 // 2)})) == "/metadata"


def test_deep_metadata_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"a": deep}
    assert pointer_of(lambda: check.check_metadata(deep)) == "/metadata"


def test_repeated_resources_are_one() -> None:
    assert check.check_resources([" a/b", "a/b ", "c"]) == ("a/b", "c")


def test_too_many_resources_are_refused() -> None:
    assert pointer_of(lambda: check.check_resources([str(number) for number in range(201)])) == "/resources"


@pytest.mark.parametrize("text", ["", "a b", "tökén", "a\n", "x" * 16_385])
def test_impossible_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="copy it whole") as refused:
        check.check_token(text)
    assert refused.value.pointer == "/token"


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "http://", "https://u@h.example", "https://h.example:x", "//h.example"]
)
def test_impossible_address_is_refused(text: str) -> None:
    assert pointer_of(lambda: check.check_url(text)) == "/url"
