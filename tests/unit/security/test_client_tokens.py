"""Client tokens and everything that looks like one: accepted is exactly what auth issued, while it lives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.clock import FixedClock
from libs.common.errors import Forbidden, Unauthenticated
from libs.common.security.client_tokens import TYPE, ClientClaims
from libs.common.security.principals import (
    CLIENT_SCOPES,
    ClientTokenResolver,
    ClientTokens,
    ServiceTokens,
    make_service_keys,
)
from libs.common.security.signed import SigningKeys, sign

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
CLAIMS = ClientClaims(
    iss="auth", aud="sluice", ws="w", sub="user-1", origin="https://app.example", scopes=["sources:read"],
    iat=AT, exp=AT + 900, jti="j",
)  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    make_service_keys(directory, ["auth", "sync"])
    return directory


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def tokens(keys: Path, clock: FixedClock) -> ClientTokens:
    return ClientTokens(keys, clock)


def signed(keys: Path, by: str = "auth", kind: str = TYPE, **changes: Any) -> str:
    return sign(kind, msgspec.structs.replace(CLAIMS, **changes), SigningKeys(keys).private(by))


def issued(tokens: ClientTokens, **changes: Any) -> str:
    values: dict[str, Any] = {
        "workspace": "w", "user": "user-1", "origin": "https://app.example", "scopes": CLIENT_SCOPES,
        "life": timedelta(seconds=900),
    }  # fmt: skip
    return tokens.issue(**{**values, **changes})[0]


def test_issued_token_names_workspace_user_origin_and_scopes(tokens: ClientTokens) -> None:
    found = tokens.verify(issued(tokens, scopes=["sources:read"]))
    assert (found.workspace, found.user, found.origin) == ("w", "user-1", "https://app.example")
    assert (found.subject, found.method, found.scopes) == ("client:user-1", "client_token", {"sources:read"})


def test_token_ends_to_the_second(tokens: ClientTokens, clock: FixedClock) -> None:
    token = issued(tokens, life=timedelta(seconds=60))
    clock.move(timedelta(seconds=59))
    assert tokens.verify(token).user == "user-1"
    clock.move(timedelta(seconds=1))
    with pytest.raises(Unauthenticated):
        tokens.verify(token)


FORGED: dict[str, Callable[[Path], str]] = {
    "by another service's key": lambda keys: signed(keys, by="sync"),
    "of another kind": lambda keys: signed(keys, kind="sluice-service+jwt"),
    "a service token": lambda keys: ServiceTokens("auth", keys, FixedClock(NOW)).issue("sluice"),
    "of another issuer": lambda keys: signed(keys, iss="sync"),
    "for another audience": lambda keys: signed(keys, aud="auth"),
    "without an origin": lambda keys: signed(keys, origin=""),
    "too long a life": lambda keys: signed(keys, exp=AT + 901),
    "over": lambda keys: signed(keys, iat=AT - 900, exp=AT),
    "not yet": lambda keys: signed(keys, iat=AT + 60, exp=AT + 120),
    "an end before its beginning": lambda keys: signed(keys, exp=AT - 1),
    "another signature": lambda keys: signed(keys)[:-4] + "AAAA",
    "no signature": lambda keys: signed(keys).rpartition(".")[0] + ".",
    "another payload": lambda keys: ".".join(
        [signed(keys).split(".")[0], signed(keys, ws="other").split(".")[1], signed(keys).split(".")[2]]
    ),
    "nothing": lambda keys: "",
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_token_is_unauthenticated(tokens: ClientTokens, keys: Path, name: str) -> None:
    with pytest.raises(Unauthenticated):
        ClientTokenResolver(tokens).resolve(f"Bearer {FORGED[name](keys)}")


def test_control_shows_that_the_forger_can_sign(tokens: ClientTokens, keys: Path) -> None:
    assert tokens.verify(signed(keys)).workspace == "w"


def test_client_token_is_no_service_token(tokens: ClientTokens, keys: Path) -> None:
    with pytest.raises(Unauthenticated):
        ServiceTokens("auth", keys, FixedClock(NOW)).verify(issued(tokens), "sluice")


def test_scope_that_no_page_may_hold_is_dropped(tokens: ClientTokens, keys: Path) -> None:
    found = tokens.verify(signed(keys, scopes=["admin", "internal", "workspaces:manage", "sources:read"]))
    assert found.scopes == {"sources:read"}
    with pytest.raises(Forbidden):
        found.require("workspaces:manage")
