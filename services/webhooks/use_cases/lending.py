"""One call at the provider with a token that auth lends for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from libs.common.database.transaction import Row
from libs.common.errors import AuthExpired
from libs.common.internal import AccessToken
from libs.common.provider.sync import Resource
from libs.providers import registry
from services.webhooks.deps import BudgetedHttp, Deps

T = TypeVar("T")


async def ask_provider(deps: Deps, row: Row, call: Callable[[BudgetedHttp], Awaitable[T]]) -> T:
    """A token that the provider refuses is reported to auth's broker, which may have a newer one: asked once."""
    token = await _token(deps, row)
    try:
        return await call(_granted(deps, row, token))
    except AuthExpired:
        newer = await _token(deps, row, refused_version=token.version)
        return await call(_granted(deps, row, newer))


def _granted(deps: Deps, row: Row, token: AccessToken) -> BudgetedHttp:
    manifest = registry.manifest(row["provider"])
    return deps.granted(manifest, token, workspace=row["workspace_id"], integration=row["integration_id"])


def resource_of(row: Row) -> Resource:
    return Resource(kind=row["kind"], external_id=row["external_id"], name=row["name"], url=row["url"])


async def _token(deps: Deps, row: Row, refused_version: int | None = None) -> AccessToken:
    return await deps.tokens.lend(
        row["workspace_id"],
        row["integration_id"],
        teardown=not row["connected"],
        refused_version=refused_version,
    )
