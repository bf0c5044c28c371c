"""Making client tokens: each part is judged here, because nobody asks again while the token lives."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from libs.common.errors import InvalidInput
from libs.common.security.client_tokens import LONGEST_LIFE
from libs.common.security.principals import CLIENT_SCOPES
from services.auth.deps import Deps
from services.auth.domain.input import check_subject
from services.auth.domain.refusals import OriginNotAllowed
from services.auth.repository import audit
from services.auth.use_cases.held import require_workspace


class ClientTokenAsked(msgspec.Struct, frozen=True, kw_only=True):
    """`scopes` None = all that a page may have."""

    user: str
    origin: str
    scopes: tuple[str, ...] | None
    seconds: int


async def make_client_token(asked: ClientTokenAsked, *, deps: Deps, workspace: str, actor: str) -> tuple[str, datetime]:
    """(token, when it ends)."""
    _check(asked, deps.settings.cors_allowed_origins)
    async with deps.db.transaction(workspace) as tx:
        await require_workspace(tx)
        await audit.add_audit(tx, actor=actor, action="client_token.made", detail={"origin": asked.origin})
    scopes = CLIENT_SCOPES if asked.scopes is None else asked.scopes
    life = timedelta(seconds=asked.seconds)
    return deps.clients.issue(workspace=workspace, user=asked.user, origin=asked.origin, scopes=scopes, life=life)


def _check(asked: ClientTokenAsked, origins: tuple[str, ...]) -> None:
    check_subject(asked.user)
    if asked.origin not in origins:
        raise OriginNotAllowed(
            "name an allowed origin, or add it to CORS_ALLOWED_ORIGINS, as browsers write it: https://app.example",
            pointer="/origin",
        )
    for index, scope in enumerate(asked.scopes or ()):
        if scope not in CLIENT_SCOPES:
            raise InvalidInput(f"a page may hold {', '.join(CLIENT_SCOPES)}", pointer=f"/scopes/{index}")
    longest = int(LONGEST_LIFE.total_seconds())
    if not 1 <= asked.seconds <= longest:
        raise InvalidInput(f"a client token lives 1 to {longest} seconds", pointer="/ttlSeconds")
