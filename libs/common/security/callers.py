"""Who is calling: one type, whatever proved it; a header that merely claims an identity is never read."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Literal, Protocol

import msgspec

from libs.common.errors import Forbidden, NotFound, Unauthenticated

ADMIN = "admin"
INTERNAL = "internal"

Method = Literal["api_key", "service", "jwt", "client_token", "in_process"]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """`workspace` None means every workspace; `service` is set for service tokens only.

    A client token also names the application's own `user`, and the `origin` that alone may send it.
    """

    subject: str
    workspace: str | None
    scopes: frozenset[str]
    method: Method
    service: str | None = None
    user: str | None = None
    origin: str | None = None

    def require(self, scope: str) -> None:
        """`admin` covers every scope but `internal`, which only another service holds."""
        if scope in self.scopes or (scope != INTERNAL and ADMIN in self.scopes):
            return
        raise Forbidden(f"it lacks the scope {scope}")

    def sees(self, workspace: str) -> bool:
        return self.workspace in (None, workspace)

    def require_workspace(self, workspace: str) -> None:
        """Raises NotFound: a foreign workspace looks like one that does not exist."""
        if not self.sees(workspace):
            raise NotFound


class CallerResolver(Protocol):
    """Turns the Authorization header into a Principal or raises Unauthenticated; it may be `async def`."""

    def resolve(self, authorization: str | None) -> Principal | Awaitable[Principal]: ...


async def resolve_caller(resolver: CallerResolver, authorization: str | None) -> Principal:
    found = resolver.resolve(authorization)
    return await found if inspect.isawaitable(found) else found


def bearer(authorization: str | None) -> str:
    """The token of `Bearer <token>`, or Unauthenticated."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token or token != token.strip():
        raise Unauthenticated
    return token
