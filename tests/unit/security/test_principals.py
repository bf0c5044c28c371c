"""Who may do what, and that nothing but a proof makes a principal."""

from __future__ import annotations

from hashlib import sha256

import pytest

from libs.common.errors import Forbidden, NotFound, Unauthenticated
from libs.common.security.principals import ApiKeyResolver, ChainResolver, Principal, resolve_caller


def principal(*scopes: str, workspace: str | None = None) -> Principal:
    return Principal(subject="s", workspace=workspace, scopes=frozenset(scopes), method="jwt")


@pytest.mark.parametrize(
    ("held", "asked", "allowed"),
    [
        ("admin", "admin", True),
        ("admin", "sources:read", True),
        ("admin", "internal", False),
        ("internal", "internal", True),
        ("internal", "admin", False),
        ("sources:read", "sources:read", True),
        ("sources:read", "sources:write", False),
    ],
)
def test_scope_is_required(held: str, asked: str, allowed: bool) -> None:
    if allowed:
        principal(held).require(asked)
    else:
        with pytest.raises(Forbidden, match=asked):
            principal(held).require(asked)


def test_foreign_workspace_looks_absent() -> None:
    principal(workspace="a").require_workspace("a")
    principal(workspace=None).require_workspace("b")
    with pytest.raises(NotFound) as caught:
        principal(workspace="a").require_workspace("b")
    assert caught.value.detail == NotFound().detail


HASH = sha256(b"slk_right").hexdigest()


@pytest.mark.parametrize("hashes", [{HASH}, {HASH.upper()}, {"0" * 64, f" {HASH} "}])
def test_known_key_is_admin_and_its_subject_is_not_the_key(hashes: set[str]) -> None:
    found = ApiKeyResolver(hashes).resolve("Bearer slk_right")
    assert (found.scopes, found.method, found.workspace) == (frozenset({"admin"}), "api_key", None)
    assert "slk_right" not in repr(found)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer slk_wrong", f"Bearer {HASH}", "slk_right", "Basic slk_right", "Bearer \ud800"]
)
def test_anything_but_the_key_is_unauthenticated(authorization: str | None) -> None:
    with pytest.raises(Unauthenticated):
        ApiKeyResolver({HASH}).resolve(authorization)


@pytest.mark.parametrize("hashes", [[], [""], [" "]])
def test_no_configured_key_admits_nobody(hashes: list[str]) -> None:
    for authorization in ("Bearer ", "Bearer x", f"Bearer {''}"):
        with pytest.raises(Unauthenticated):
            ApiKeyResolver(hashes).resolve(authorization)


class AsyncResolver:
    async def resolve(self, authorization: str | None) -> Principal:
        if authorization != "Bearer token":
            raise Unauthenticated
        return principal("sources:read", workspace="w")


async def test_chain_asks_each_resolver_and_the_first_that_knows_wins() -> None:
    chain = ChainResolver([ApiKeyResolver({HASH}), AsyncResolver()])
    assert (await resolve_caller(chain, "Bearer slk_right")).method == "api_key"
    assert (await resolve_caller(chain, "Bearer token")).workspace == "w"
    with pytest.raises(Unauthenticated):
        await resolve_caller(chain, "Bearer other")
    with pytest.raises(Unauthenticated):
        await resolve_caller(ChainResolver([]), "Bearer slk_right")
