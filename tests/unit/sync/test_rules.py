"""Rendering, hashes, waits, features and tokens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from libs.common.clock import FixedClock
from libs.common.command import DESCRIBING
from libs.common.errors import ConfigurationError
from libs.common.internal import AccessToken, AccessTokenAsked
from libs.common.provider.sync import Part
from libs.common.settings import load_settings
from libs.providers.registry import manifest
from services.sync.domain import features
from services.sync.domain.content import render, storable, storable_json
from services.sync.domain.timing import backoff
from services.sync.settings import SyncSettings
from services.sync.tokens import Tokens

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_parts_are_rendered_in_order_of_creation_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    late = Part(key="2", author="bob\nsmith", created_at=NOW, body="late\n", label="reviewed")
    early = Part(key="1", author="ada", created_at=datetime(2026, 1, 1, 13, tzinfo=east), body="early")
    assert render("Body\n", [late, early]) == (
        "Body\n\n## ada commented at 2026-01-01T11:00:00Z\n\nearly"
        "\n\n## bob smith reviewed at 2026-01-01T12:00:00Z\n\nlate"
    )
    assert render("Body\n", []) == "Body\n"


@pytest.mark.parametrize(("given", "kept"), [("a\x00b", "a\ufffdb"), ("a\ud800b", "a\ufffdb"), ("é🙂", "é🙂")])
def test_text_is_made_storable(given: str, kept: str) -> None:
    assert storable(given) == kept


def test_json_is_made_storable_in_a_stable_order() -> None:
    assert storable_json({"b": "x\x00", "a": 1}) == '{"a":1,"b":"x\\ufffd"}'


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60)])
def test_waits_double_up_to_an_hour(attempt: int, minutes: int) -> None:
    first = timedelta(minutes=1)
    assert backoff(attempt, first, lambda: 0.0) == timedelta(minutes=minutes)
    assert backoff(attempt, first, lambda: 1.0) == timedelta(minutes=minutes) * 1.2


def test_feature_on_restarts_its_streams_and_feature_off_drops_what_is_left_alone() -> None:
    github = manifest("github")
    change = features.compare(github, ("issues",), ("issues", "prs"))
    assert change.backfill == ("repository", "issues", "comments", "review_comments")
    assert (change.drop_streams, change.drop_types) == ((), ())
    change = features.compare(github, ("issues", "prs", "code"), ("issues",))
    assert change.drop_types == ("file", "pull_request")
    assert set(change.drop_streams) == {"review_comments", "code"}
    assert features.stream_type(github, "code", ("code",)) == "file"


class Broker:
    def __init__(self) -> None:
        self.asked: list[AccessTokenAsked] = []

    async def post(
        self, path: str, body: object = None, *, response_type: type[AccessToken], seconds: float = 10.0
    ) -> AccessToken:
        assert isinstance(body, AccessTokenAsked)
        self.asked.append(body)
        await asyncio.sleep(0)
        expires = NOW + timedelta(minutes=10)
        return AccessToken(token="t", version=len(self.asked), expires_at=expires, provider="p", config={})


async def test_fifty_askers_are_one_question_until_the_token_expires() -> None:
    broker, clock = Broker(), FixedClock(NOW)
    tokens = Tokens(broker, clock)
    found = await asyncio.gather(*(tokens.get(workspace="w", integration="i") for _ in range(50)))
    assert {token.version for token in found} == {1}
    clock.move(timedelta(minutes=9))
    assert (await tokens.get(workspace="w", integration="i")).version == 2


async def test_refused_token_is_asked_for_once_by_many() -> None:
    broker = Broker()
    tokens = Tokens(broker, FixedClock(NOW))
    await tokens.get(workspace="w", integration="i")
    again = [tokens.get(workspace="w", integration="i", refused_version=1) for _ in range(5)]
    assert {token.version for token in await asyncio.gather(*again)} == {2}
    assert [asked.refused_version for asked in broker.asked] == [None, 1]


@pytest.mark.parametrize(("name", "value"), [("SYNC_WORKERS", "0"), ("SYNC_LEASE_SECONDS", "0.1"), ("AUTH_URL", "")])
def test_bad_setting_refuses_to_start_and_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load_settings(SyncSettings, {**DESCRIBING, name: value})
